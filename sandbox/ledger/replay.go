// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/containerd/errdefs"
)

// Undo says how to undo each kind. An undo gets the resource's arguments and
// succeeds when the thing is gone, whoever removed it and even if it never was.
type Undo map[Kind]func(ctx context.Context, args []string) error

// Replay undoes what the ledger at path holds, newest first, and strikes out
// what is done. It goes on after an error and returns all of them; calling it
// again tries what is left. A missing ledger holds nothing. A ledger whose owner
// lives is errdefs.ErrFailedPrecondition.
func Replay(ctx context.Context, path string, undo Undo) error {
	return ReplayAnd(ctx, path, undo, func() error { return nil })
}

// ReplayAnd is Replay, and calls last when nothing is held any more. The ledger,
// if there is one, is still locked then, so that it may be removed with the
// directory that it is in.
func ReplayAnd(ctx context.Context, path string, undo Undo, last func() error) error {
	l, err := open(path, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return last()
	}
	if err != nil {
		return err
	}
	if err = l.undo(ctx, undo); err == nil {
		err = last()
	}
	return errors.Join(err, l.Close())
}

func (l *Ledger) undo(ctx context.Context, undo Undo) error {
	var errs []error
	for _, r := range l.Held() {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, fmt.Errorf("undoing %s: %w", r, err))...)
		}
		if err := undoOne(ctx, undo, r); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := l.Release(r); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func undoOne(ctx context.Context, undo Undo, r Resource) error {
	do, ok := undo[r.Kind]
	if !ok {
		return fmt.Errorf("undoing %s: nobody said how to undo a %s: %w", r, r.Kind, errdefs.ErrNotImplemented)
	}
	if err := do(ctx, r.Args); err != nil {
		return fmt.Errorf("undoing %s: %w", r, err)
	}
	return nil
}

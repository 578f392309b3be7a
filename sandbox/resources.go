// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/ledger"
)

// resources is what the pod holds on the host. Everything that would outlive a
// crash is made and undone through it, so that the ledger knows it first, and
// so that one table says how each kind is undone, now and after a crash.
type resources struct {
	ledger *ledger.Ledger
	undo   ledger.Undo

	mu     sync.RWMutex // read: something is being acquired; write: sealing
	sealed bool
}

// acquire records r and then makes it. When making fails, what it left is
// undone.
func (r *resources) acquire(ctx context.Context, what ledger.Resource, create func() error) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.sealed {
		return fmt.Errorf("acquire %s: the pod is being released: %w", what, errdefs.ErrFailedPrecondition)
	}
	if err := r.ledger.Acquire(what); err != nil {
		return err
	}
	if err := create(); err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Release)
		defer cancel()
		return errors.Join(err, r.release(undo, what))
	}
	return nil
}

// release undoes r and then strikes it out. What is not held is gone already.
func (r *resources) release(ctx context.Context, what ledger.Resource) error {
	undo, known := r.undo[what.Kind]
	if !known {
		return fmt.Errorf("release %s: nobody said how: %w", what, errdefs.ErrNotImplemented)
	}
	if err := undo(ctx, what.Args); err != nil {
		return fmt.Errorf("release %s: %w", what, err)
	}
	if err := r.ledger.Release(what); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	return nil
}

// releaseAll lets nothing be acquired any more and undoes what is held, newest
// first. It goes on after errors.
func (r *resources) releaseAll(ctx context.Context) error {
	r.mu.Lock()
	r.sealed = true
	r.mu.Unlock()
	var errs []error
	for _, held := range r.ledger.Held() {
		errs = append(errs, r.release(ctx, held))
	}
	return errors.Join(errs...)
}

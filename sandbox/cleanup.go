// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/ledger"
)

// Cleanup releases what a pod whose shim is gone left on the host, from the
// ledger in its state directory alone, and then removes the directory. It is
// what "shim delete" does after a crash. A pod whose shim lives is
// errdefs.ErrFailedPrecondition; a directory that is gone is no error. When
// something could not be released, or the caller is killed, the directory stays,
// and a further call goes on: another one of this, the start of a pod of the same
// id, or that of any pod, see clearLeftovers.
func Cleanup(ctx context.Context, stateDir string) error {
	return awaitCleanup(ctx, stateDir, hostDrivers())
}

// awaitCleanup lets a pod that clears the same leftovers finish.
func awaitCleanup(ctx context.Context, stateDir string, d Drivers) error {
	ctx, cancel := context.WithTimeout(ctx, timeouts.Cleanup)
	defer cancel()
	began := time.Now()
	for look := time.Millisecond; ; look *= 2 {
		err := cleanup(ctx, stateDir, d)
		if !errdefs.IsFailedPrecondition(err) || time.Since(began) > timeouts.Lock {
			return err
		}
		timer := time.NewTimer(look)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

func cleanup(ctx context.Context, stateDir string, d Drivers) error {
	err := ledger.ReplayAnd(ctx, ledgerIn(stateDir), d.undoTableOfDead(), func() error { return removeTree(stateDir) })
	if err != nil {
		return fmt.Errorf("clean up after the pod of %s: %w", stateDir, err)
	}
	return nil
}

// undoTableOfDead is undoTable for a pod whose shim is gone. A process has to run
// before its number can be in the ledger, so a shim that dies in between leaves
// one that nobody knows; but it is in the pod's cgroup, in which nothing else is.
func (d Drivers) undoTableOfDead() ledger.Undo {
	table := d.undoTable()
	remove := table[ledger.Cgroup]
	table[ledger.Cgroup] = func(ctx context.Context, args []string) error {
		if err := d.KillCgroup(args[0]); err != nil {
			return err
		}
		return remove(ctx, args)
	}
	return table
}

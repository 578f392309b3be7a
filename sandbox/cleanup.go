// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"

	"github.com/katapod/katapod/sandbox/ledger"
)

// Cleanup releases what a pod whose shim is gone left on the host, from the
// ledger in its state directory alone, and then removes the directory. It is
// what "shim delete" does after a crash. A pod whose shim lives is
// errdefs.ErrFailedPrecondition; a directory that is gone is no error. When
// something could not be released the directory stays, and a further call tries
// again.
func Cleanup(ctx context.Context, stateDir string) error {
	return cleanup(ctx, stateDir, hostDrivers())
}

func cleanup(ctx context.Context, stateDir string, d Drivers) error {
	if err := ledger.Replay(ctx, ledgerIn(stateDir), d.undoTable()); err != nil {
		return fmt.Errorf("clean up after the pod of %s: %w", stateDir, err)
	}
	if err := removeTree(stateDir); err != nil {
		return fmt.Errorf("clean up after the pod of %s: %w", stateDir, err)
	}
	return nil
}

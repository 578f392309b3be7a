// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/containerd/containerd/v2/pkg/shim"

	"github.com/katapod/katapod/shim/podkind"
)

// exitKilled is what a shell reports for a process that SIGKILL ended.
const exitKilled = 137

// CleanupFunc releases what the ledger below a state directory lists. A
// directory that is not there any more is no error.
type CleanupFunc func(ctx context.Context, stateDir string) error

// Delete answers the delete action: it makes sure that nothing of container id
// is left, with or without a living shim, and reports the exit of a process that
// was killed now. Containerd calls it at the end of every container, also when
// all went well, so it may find nothing to do; it may be called again.
//
// A container within a pod has nothing of its own outside the pod's ledger.
func Delete(ctx context.Context, dir, id string, cleanup CleanupFunc) (shim.StopStatus, error) {
	status := shim.StopStatus{ExitStatus: exitKilled, ExitedAt: time.Now()}
	b, err := readBundle(dir, id)
	if err != nil {
		return shim.StopStatus{}, err
	}
	if b.kind == podkind.Member {
		return status, nil
	}
	if status.Pid, err = b.shimPID(); err != nil {
		return shim.StopStatus{}, err
	}
	if err := endShim(status.Pid, id); err != nil {
		return shim.StopStatus{}, err
	}
	stateDir, err := b.read(fileStateDir)
	if err != nil {
		return shim.StopStatus{}, err
	}
	if stateDir != "" {
		if err := cleanup(ctx, stateDir); err != nil {
			return shim.StopStatus{}, fmt.Errorf("release what pod %s left behind: %w", id, err)
		}
	}
	return status, removeSocket(b)
}

// removeSocket takes the socket of a shim that is gone away.
func removeSocket(b bundle) error {
	address, err := b.read(fileAddress)
	if err != nil || address == "" {
		return err
	}
	if shim.CanConnect(address) {
		return nil
	}
	if err := shim.RemoveSocket(address); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the socket of a dead shim: %w", err)
	}
	return nil
}

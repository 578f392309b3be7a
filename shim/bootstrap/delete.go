// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"fmt"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

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
// all went well, so it may find nothing to do; it may be called again. Where the
// host is too slow for the time that an engine gives, see inTime.
//
// A container within a pod has nothing of its own outside the pod's ledger.
func Delete(ctx context.Context, dir, id string, cleanup CleanupFunc) (*taskapi.DeleteResponse, error) {
	status := &taskapi.DeleteResponse{ExitStatus: exitKilled, ExitedAt: timestamppb.New(time.Now())}
	b, err := readBundle(dir, id)
	if err != nil {
		return nil, err
	}
	if b.kind == podkind.Member {
		return status, nil
	}
	pid, err := b.shimPID()
	if err != nil {
		return nil, err
	}
	status.Pid = uint32(pid)
	if err := endShim(pid, id); err != nil {
		return nil, err
	}
	stateDir, err := b.read(fileStateDir)
	if err != nil {
		return nil, err
	}
	if stateDir != "" {
		if err := cleanup(ctx, stateDir); err != nil {
			return nil, fmt.Errorf("release what pod %s left behind: %w", id, err)
		}
	}
	if err := removeSocket(b); err != nil {
		return nil, err
	}
	return status, nil
}

// removeSocket takes the socket of a shim that is gone away.
func removeSocket(b bundle) error {
	address, err := b.read(FileAddress)
	if err != nil || address == "" {
		return err
	}
	if answers(address) {
		return nil
	}
	return RemoveSocket(address)
}

// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/accel"
	"github.com/katapod/katapod/hypervisor/qemu/qmp"
	"github.com/katapod/katapod/protocols/timeouts"
)

// stateName is the name under which QEMU gets its end of the pipe that its state
// goes through. A pipe works with every version: newer ones want a file by its
// name, older ones know none.
const stateName = "state"

// Save implements [hypervisor.Snapshotter].
func (vm *VM) Save(ctx context.Context) error {
	if vm.cfg.SaveTo == nil {
		return fmt.Errorf("save VM %s: it was not made to be saved: %w", vm.cfg.ID, errdefs.ErrFailedPrecondition)
	}
	inst, err := vm.running()
	if err == nil {
		err = inst.save(ctx, vm.cfg.SaveTo.State)
	}
	if err != nil {
		return fmt.Errorf("save VM %s: %w", vm.cfg.ID, err)
	}
	return nil
}

// Shape implements [hypervisor.Snapshotter]: the command line, without what may
// differ.
func (vm *VM) Shape(ctx context.Context) (string, error) {
	accelerator, _, err := accel.Choose(ctx, vm.cfg.Accelerator)
	if err != nil {
		return "", fmt.Errorf("the shape of VM %s: %w", vm.cfg.ID, err)
	}
	cfg := vm.cfg
	cfg.ID, cfg.From, cfg.SaveTo = "", nil, &hypervisor.Snapshot{}
	cfg.Disks, cfg.NICs, cfg.Shares = nil, nil, nil
	in := inputs{accelerator: accelerator, memory: true, entropy: entropySource(cfg), disks: map[string]diskFile{}}
	if _, err := os.Stat(vsockDevice); err == nil {
		in.cid = firstCID
	}
	if cfg.Image != "" {
		driver, err := blockDriver(cfg.Image)
		if err != nil {
			return "", fmt.Errorf("the shape of VM %s: %w", vm.cfg.ID, err)
		}
		in.disks[imageID] = diskFile{driver: driver, name: cfg.Image}
	}
	return asJSON(map[string]any{"binary": cfg.Binary, "arguments": commandLine(cfg, in)}), nil
}

// save writes the state of processors and devices; the memory is in its file
// already. Nothing of a failure is left.
func (i *instance) save(ctx context.Context, path string) (err error) {
	state, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make the file of its state: %w", err)
	}
	defer func() {
		err = errors.Join(err, state.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	if err := i.qmp.Execute(ctx, "stop", nil, nil); err != nil {
		return err
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe for its state: %w", err)
	}
	defer ours.Close() // Read to its end, or of no use.
	if err := i.prepareMigration(ctx, theirs); err != nil {
		return err
	}
	written := make(chan error, 1)
	// It ends when QEMU closes its end, also by its death; the caller waits for what was written.
	go func() {
		_, err := io.Copy(state, ours)
		written <- err
	}()
	if err := i.migrate(ctx, "migrate"); err != nil {
		return err
	}
	if err := <-written; err != nil {
		return fmt.Errorf("write its state: %w", err)
	}
	// It is the caller's, and not QEMU's user's any more.
	if err := os.Chown(i.res.memory.made, os.Geteuid(), os.Getegid()); err != nil {
		return fmt.Errorf("take the memory file of a saved VM: %w", err)
	}
	i.saved.Store(true)
	return nil
}

// restore brings the guest to where it was saved.
func (i *instance) restore(ctx context.Context, from hypervisor.Snapshot) error {
	state, err := os.ReadFile(from.State)
	if err != nil {
		return fmt.Errorf("read the state of a saved VM: %w", err)
	}
	if err := i.res.memory.complete(ctx); err != nil {
		return err
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe for the state of a saved VM: %w", err)
	}
	if err := i.prepareMigration(ctx, theirs); err != nil {
		return errors.Join(err, ours.Close())
	}
	// It ends when all is written, or QEMU closes its end, also by its death.
	go func() {
		// It breaks off when QEMU closes its end, which then says why.
		_, _ = ours.Write(state)
		_ = ours.Close()
	}()
	return i.migrate(ctx, "migrate-incoming")
}

// prepareMigration sets what saving and restoring have in common, and hands
// QEMU its end of the pipe, which is closed here.
func (i *instance) prepareMigration(ctx context.Context, theirs *os.File) error {
	defer theirs.Close() // QEMU has a copy.
	type capability struct {
		Name  string `json:"capability"`
		State bool   `json:"state"`
	}
	// Memory in a file is not put into the state, and the end is an event.
	wanted := []capability{{"x-ignore-shared", true}, {"events", true}}
	if err := i.qmp.Execute(ctx, "migrate-set-capabilities", map[string]any{"capabilities": wanted}, nil); err != nil {
		return err
	}
	return i.qmp.SendFile(ctx, stateName, int(theirs.Fd()))
}

// migrate runs one of QEMU's migration commands to its end.
func (i *instance) migrate(ctx context.Context, command string) error {
	if err := i.qmp.Execute(ctx, command, map[string]any{"uri": "fd:" + stateName}, nil); err != nil {
		return err
	}
	select {
	case status := <-i.migrated:
		if status == migrationCompleted {
			return nil
		}
		return fmt.Errorf("%s %s: %w", command, status, i.whyNot(ctx))
	case <-i.qmp.Done():
		return fmt.Errorf("%s: %w", command, qmp.ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of %s: %w", command, ctx.Err())
	}
}

// Last words of a migration's event.
const (
	migrationCompleted = "completed"
	migrationFailed    = "failed"
)

// noteMigration takes what an event says about the one migration.
func (i *instance) noteMigration(status string) {
	if status != migrationCompleted && status != migrationFailed {
		return
	}
	select {
	case i.migrated <- status:
	default: // There is only one.
	}
}

// whyNot is QEMU's sentence about a migration that failed. One that cannot
// restore a VM says it on standard error, and ends.
func (i *instance) whyNot(ctx context.Context) error {
	var info struct {
		Desc string `json:"error-desc"`
	}
	err := i.qmp.Execute(ctx, "query-migrate", nil, &info)
	if err == nil && info.Desc != "" {
		return fmt.Errorf("%s: %w", info.Desc, errdefs.ErrUnavailable)
	}
	if waitFor(i.qmp.Done(), timeouts.LastWords) {
		return qmp.ErrClosed
	}
	return fmt.Errorf("QEMU does not say why: %w", errdefs.ErrUnavailable)
}

// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// Save implements [hypervisor.Snapshotter]: it writes files with a word each. A
// clone of them is a fake like any other, with handlers of its own.
func (vm *VM) Save(ctx context.Context) error {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if vm.cfg.SaveTo == nil {
		return fmt.Errorf("save VM %s: it was not made to be saved: %w", vm.cfg.ID, errdefs.ErrFailedPrecondition)
	}
	if err := vm.ready(ctx); err != nil {
		return fmt.Errorf("save VM %s: %w", vm.cfg.ID, err)
	}
	vm.paused = true
	if err := os.WriteFile(vm.cfg.SaveTo.State, []byte("state"), 0o600); err != nil {
		return fmt.Errorf("save VM %s: %w", vm.cfg.ID, err)
	}
	vm.saved.Store(true)
	return nil
}

// makeMemory makes the memory file of a VM to be saved.
func (vm *Bare) makeMemory() error {
	if vm.cfg.SaveTo == nil {
		return nil
	}
	f, err := os.OpenFile(vm.cfg.SaveTo.Memory, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make the memory file of a VM to be saved: %w", err)
	}
	_, err = f.WriteString("memory")
	return errors.Join(err, f.Close())
}

// dropMemory removes the memory file of a VM that was not saved.
func (vm *Bare) dropMemory() {
	if vm.cfg.SaveTo != nil && !vm.saved.Load() {
		_ = os.Remove(vm.cfg.SaveTo.Memory) // A test sees what is left.
	}
}

// Shape implements [hypervisor.Snapshotter].
func (vm *VM) Shape(context.Context) (string, error) {
	return fmt.Sprintf("fake %d vCPUs %d MiB of %d", vm.cfg.VCPUs, vm.cfg.MemoryMiB, vm.cfg.MaxMemoryMiB), nil
}

// checkSnapshot finds what cannot be saved or cloned.
func (vm *Bare) checkSnapshot() error {
	from := vm.cfg.From
	switch {
	case from == nil:
		return nil
	case len(vm.cfg.Disks)+len(vm.cfg.NICs)+len(vm.cfg.Shares) > 0:
		return fmt.Errorf("a clone has the devices of the VM that was saved: %w", errdefs.ErrInvalidArgument)
	}
	for _, path := range []string{from.Memory, from.State} {
		if _, err := os.Stat(path); err != nil {
			return hypervisor.Because(hypervisor.ErrSnapshot, fmt.Errorf("look at a file of the saved VM: %w", err))
		}
	}
	return nil
}

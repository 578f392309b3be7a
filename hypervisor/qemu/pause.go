// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"fmt"
)

// Pause implements [hypervisor.Pauser].
func (vm *VM) Pause(ctx context.Context) error { return vm.command(ctx, "pause", "stop") }

// Resume implements [hypervisor.Pauser].
func (vm *VM) Resume(ctx context.Context) error { return vm.command(ctx, "resume", "cont") }

func (vm *VM) command(ctx context.Context, what, command string) error {
	inst, err := vm.running()
	if err == nil {
		err = inst.qmp.Execute(ctx, command, nil, nil)
	}
	if err != nil {
		return fmt.Errorf("%s VM %s: %w", what, vm.cfg.ID, err)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"fmt"

	"github.com/katapod/katapod/hypervisor/internal/life"
	"github.com/katapod/katapod/protocols/timeouts"
)

// Stop implements [hypervisor.VM]. QEMU is asked to quit, which flushes disks,
// and killed when it does not at once, or has none that was written.
func (vm *VM) Stop(ctx context.Context) error {
	was := vm.life.Stopping()
	vm.stopOnce.Do(func() { close(vm.stopAsked) })
	vm.dialer.end()
	if was == life.Running {
		if inst := vm.instance(); inst != nil {
			if err := inst.stop(ctx); err != nil {
				return fmt.Errorf("stop VM %s: %w", vm.cfg.ID, err)
			}
		}
	}
	select {
	case <-vm.life.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop VM %s: wait for the end of its process: %w", vm.cfg.ID, ctx.Err())
	}
}

func (i *instance) stop(ctx context.Context) error {
	if !i.writes.Load() {
		return i.proc.kill(ctx)
	}
	asked, cancel := context.WithTimeout(ctx, timeouts.Quit)
	defer cancel()
	// Whatever it answers, the process is watched and killed if need be.
	_ = i.qmp.Execute(asked, "quit", nil, nil)
	select {
	case <-i.proc.exited:
		return nil
	case <-asked.Done():
		return i.proc.kill(ctx)
	}
}

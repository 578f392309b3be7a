// SPDX-License-Identifier: Apache-2.0

package hypervisortest

import (
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// memory plugs memory until there is no slot, and no room, for more.
func memory(t *testing.T, d Driver) {
	const block = hypervisor.MemoryBlockMiB
	for _, c := range []struct {
		name       string
		slots, max int
	}{{"slots", 2, 9 * block}, {"room", 9, 3 * block}} {
		t.Run(c.name, func(t *testing.T) {
			vm := startedWith(t, d, func(cfg *hypervisor.Config) {
				cfg.MemoryMiB, cfg.MaxMemoryMiB, cfg.MemorySlots = block, c.max, c.slots
			})
			p, err := hypervisor.AsMemoryPlugger(vm)
			if err != nil {
				isError(t, "memory hot-plug", err, errdefs.ErrNotImplemented)
				return
			}
			mustEcho(t, vm)
			for _, mib := range []int{0, -block, block - 1, block + 1} {
				isError(t, "memory that is not of blocks", p.PlugMemory(short(t), mib), errdefs.ErrInvalidArgument)
			}
			isError(t, "more than there is room for", p.PlugMemory(short(t), 9*block), errdefs.ErrResourceExhausted)
			for i := range 2 {
				if err := p.PlugMemory(short(t), block); err != nil {
					t.Fatalf("plug %d: %v", i, err)
				}
				if has := vm.Describe().MemoryMiB; has != (i+2)*block {
					t.Errorf("the VM says it has %d MiB", has)
				}
			}
			isError(t, "more than may be", p.PlugMemory(short(t), block), errdefs.ErrResourceExhausted)
			mustEcho(t, vm)
		})
	}
}

func memoryUnpromised(t *testing.T, d Driver) {
	vm := up(t, d)
	p, err := hypervisor.AsMemoryPlugger(vm)
	if err != nil {
		isError(t, "memory hot-plug", err, errdefs.ErrNotImplemented)
		return
	}
	isError(t, "memory that nobody promised", p.PlugMemory(short(t), hypervisor.MemoryBlockMiB), errdefs.ErrFailedPrecondition)
	if has := vm.Describe().MemoryMiB; has != 128 {
		t.Errorf("the VM says it has %d MiB", has)
	}
}

// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/timeouts"
)

// growth is the memory that a VM got since it was started.
type growth struct {
	// turn is held while memory is plugged.
	turn sync.Mutex

	// mu guards what follows. It is taken under turn.
	mu sync.Mutex
	// mib is its size, times how often it was plugged.
	mib, times int
}

// now is how much there is.
func (g *growth) now() (mib, times int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mib, g.times
}

func (g *growth) add(mib int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mib, g.times = g.mib+mib, g.times+1
}

// check tells what speaks against mib more.
func (g *growth) check(cfg hypervisor.Config, mib int) error {
	has, times := g.now()
	has += cfg.MemoryMiB
	switch {
	case !grows(cfg):
		return fmt.Errorf("its configuration promised no more memory: %w", errdefs.ErrFailedPrecondition)
	case mib <= 0 || mib%hypervisor.MemoryBlockMiB != 0:
		return invalid("a guest takes memory in blocks of %d MiB", hypervisor.MemoryBlockMiB)
	case mib > cfg.MaxMemoryMiB-has:
		return fmt.Errorf("it has %d MiB and may have %d: %w", has, cfg.MaxMemoryMiB, errdefs.ErrResourceExhausted)
	case times >= cfg.MemorySlots:
		return fmt.Errorf("all %d slots for memory are taken; raise \"memory_slots\" in the configuration: %w", cfg.MemorySlots, errdefs.ErrResourceExhausted)
	}
	return nil
}

// grows tells whether memory can be plugged into the VM.
func grows(cfg hypervisor.Config) bool {
	return cfg.MaxMemoryMiB > cfg.MemoryMiB && cfg.MemorySlots > 0
}

// PlugMemory implements [hypervisor.MemoryPlugger].
func (vm *VM) PlugMemory(ctx context.Context, mib int) error {
	vm.growth.turn.Lock()
	defer vm.growth.turn.Unlock()
	inst, err := vm.running()
	if err == nil {
		err = vm.growth.check(vm.cfg, mib)
	}
	if err == nil {
		_, times := vm.growth.now()
		err = inst.plugMemory(ctx, vm.cfg, times, mib)
		if err == nil || !isRefusal(err) {
			// After a lost answer it may be there: its name is not used again.
			vm.growth.add(mib)
		}
	}
	if err != nil {
		return fmt.Errorf("plug %d MiB of memory into VM %s: %w", mib, vm.cfg.ID, err)
	}
	return nil
}

// plugMemory makes a memory module of the kind that the rest of the VM's memory is.
// QEMU's refusal leaves nothing.
func (i *instance) plugMemory(ctx context.Context, cfg hypervisor.Config, number, mib int) error {
	id := "dimm" + strconv.Itoa(number)
	backend := map[string]any{"qom-type": "memory-backend-ram", "id": "memory-" + id, "size": int64(mib) << 20}
	if mayShare(cfg) {
		backend["qom-type"], backend["share"] = "memory-backend-memfd", true
	}
	if err := i.qmp.Execute(ctx, "object-add", backend, nil); err != nil {
		return i.whileAlive(err)
	}
	err := i.qmp.Execute(ctx, "device_add", map[string]any{"driver": "pc-dimm", "id": id, "memdev": backend["id"]}, nil)
	if err != nil && isRefusal(err) {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.LastWords)
		defer cancel()
		err = errors.Join(err, i.qmp.Execute(undo, "object-del", map[string]any{"id": backend["id"]}, nil))
	}
	if err != nil {
		return i.whileAlive(err)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// VM is a fake with every optional interface of the contract.
type VM struct {
	*Bare

	// mu guards what follows.
	mu     sync.Mutex
	slots  []any // hypervisor.Disk, hypervisor.NIC, hypervisor.Share, or nil
	fail   error
	paused bool
	memory []int
	cut    []string
}

// New returns a VM with every optional interface.
func New(cfg hypervisor.Config) *VM {
	return &VM{Bare: NewBare(cfg), slots: make([]any, max(cfg.HotplugSlots, 0)), paused: cfg.Held}
}

// FailPlug makes plugging and unplugging fail with err until it is called with
// nil.
func (vm *VM) FailPlug(err error) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.fail = err
}

// Disks lists the disks that are plugged now, by slot.
func (vm *VM) Disks() []hypervisor.Disk { return list[hypervisor.Disk](vm) }

// NICs lists the network devices that are plugged now, by slot.
func (vm *VM) NICs() []hypervisor.NIC { return list[hypervisor.NIC](vm) }

// Shares lists the shares that are plugged now, by slot.
func (vm *VM) Shares() []hypervisor.Share { return list[hypervisor.Share](vm) }

// Memory lists what was plugged, in MiB.
func (vm *VM) Memory() []int {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return slices.Clone(vm.memory)
}

// Paused reports whether the vCPUs are stopped.
func (vm *VM) Paused() bool {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.paused
}

func list[T any](vm *VM) []T {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	var found []T
	for _, s := range vm.slots {
		if d, ok := s.(T); ok {
			found = append(found, d)
		}
	}
	return found
}

// PlugDisk implements [hypervisor.DiskPlugger].
func (vm *VM) PlugDisk(ctx context.Context, d hypervisor.Disk) (hypervisor.PCIPath, error) {
	taken := func(s any) bool { o, ok := s.(hypervisor.Disk); return ok && o.ID == d.ID }
	for _, boot := range vm.cfg.Disks {
		if boot.ID == d.ID {
			return "", fmt.Errorf("plug disk %s: %w", d.ID, errdefs.ErrAlreadyExists)
		}
	}
	return vm.plug(ctx, "disk "+d.ID, d, taken)
}

// UnplugDisk implements [hypervisor.DiskPlugger].
func (vm *VM) UnplugDisk(ctx context.Context, id string) error {
	return vm.unplug(ctx, "disk "+id, func(s any) bool { o, ok := s.(hypervisor.Disk); return ok && o.ID == id })
}

// PlugNIC implements [hypervisor.NICPlugger].
func (vm *VM) PlugNIC(ctx context.Context, n hypervisor.NIC) (hypervisor.PCIPath, error) {
	taken := func(s any) bool { o, ok := s.(hypervisor.NIC); return ok && o.ID == n.ID }
	return vm.plug(ctx, "network device "+n.ID, n, taken)
}

// UnplugNIC implements [hypervisor.NICPlugger].
func (vm *VM) UnplugNIC(ctx context.Context, id string) error {
	return vm.unplug(ctx, "network device "+id, func(s any) bool { o, ok := s.(hypervisor.NIC); return ok && o.ID == id })
}

// CutNIC implements [hypervisor.NICPlugger].
func (vm *VM) CutNIC(_ context.Context, id string) error {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	is := func(n hypervisor.NIC) bool { return n.ID == id }
	plugged := slices.ContainsFunc(vm.slots, func(s any) bool { n, ok := s.(hypervisor.NIC); return ok && is(n) })
	if !plugged && !slices.ContainsFunc(vm.cfg.NICs, is) || slices.Contains(vm.cut, id) {
		return fmt.Errorf("cut network device %s off: %w", id, errdefs.ErrNotFound)
	}
	vm.cut = append(vm.cut, id)
	return vm.fail
}

// Cut lists the network devices that were cut off.
func (vm *VM) Cut() []string {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return slices.Clone(vm.cut)
}

// PlugShare implements [hypervisor.SharePlugger].
func (vm *VM) PlugShare(ctx context.Context, n hypervisor.Share) (hypervisor.PCIPath, error) {
	if !vm.cfg.LaterShares {
		return "", fmt.Errorf("plug share %s: the VM's configuration promised no later shares: %w", n.Tag, errdefs.ErrFailedPrecondition)
	}
	taken := func(s any) bool { o, ok := s.(hypervisor.Share); return ok && o.Tag == n.Tag }
	return vm.plug(ctx, "share "+n.Tag, n, taken)
}

// UnplugShare implements [hypervisor.SharePlugger].
func (vm *VM) UnplugShare(ctx context.Context, tag string) error {
	return vm.unplug(ctx, "share "+tag, func(s any) bool { o, ok := s.(hypervisor.Share); return ok && o.Tag == tag })
}

// PlugMemory implements [hypervisor.MemoryPlugger].
func (vm *VM) PlugMemory(ctx context.Context, mib int) error {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	err := vm.ready(ctx)
	if err == nil {
		err = vm.checkMemory(mib)
	}
	if err != nil {
		return fmt.Errorf("plug %d MiB of memory: %w", mib, err)
	}
	vm.memory = append(vm.memory, mib)
	return nil
}

// checkMemory tells what speaks against mib more; vm.mu is held.
func (vm *VM) checkMemory(mib int) error {
	switch {
	case vm.cfg.MaxMemoryMiB <= vm.cfg.MemoryMiB || vm.cfg.MemorySlots <= 0:
		return errdefs.ErrFailedPrecondition
	case mib <= 0 || mib%hypervisor.MemoryBlockMiB != 0:
		return errdefs.ErrInvalidArgument
	case vm.memoryNow()+mib > vm.cfg.MaxMemoryMiB || len(vm.memory) >= vm.cfg.MemorySlots:
		return errdefs.ErrResourceExhausted
	}
	return nil
}

// memoryNow is the guest's memory in MiB; vm.mu is held.
func (vm *VM) memoryNow() int {
	total := vm.cfg.MemoryMiB
	for _, m := range vm.memory {
		total += m
	}
	return total
}

// Describe implements [hypervisor.VM].
func (vm *VM) Describe() hypervisor.Description {
	d := vm.Bare.Describe()
	vm.mu.Lock()
	defer vm.mu.Unlock()
	d.MemoryMiB = vm.memoryNow()
	return d
}

// ready is what every use of a running VM checks first; vm.mu is held.
func (vm *VM) ready(ctx context.Context) error {
	if err := vm.life.MustRun("use"); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return vm.fail
}

// firstPort is the root bus slot of the first hot-plug slot.
const firstPort = 0x10

func (vm *VM) plug(ctx context.Context, what string, device any, same func(any) bool) (hypervisor.PCIPath, error) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if err := vm.ready(ctx); err != nil {
		return "", fmt.Errorf("plug %s: %w", what, err)
	}
	free := -1
	for i := len(vm.slots) - 1; i >= 0; i-- {
		if vm.slots[i] == nil {
			free = i
		} else if same(vm.slots[i]) {
			return "", fmt.Errorf("plug %s: %w", what, errdefs.ErrAlreadyExists)
		}
	}
	if free < 0 {
		return "", fmt.Errorf("plug %s: all %d slots are taken: %w", what, len(vm.slots), errdefs.ErrResourceExhausted)
	}
	vm.slots[free] = device
	return hypervisor.PCIPath(fmt.Sprintf("%02x/00", firstPort+free)), nil
}

func (vm *VM) unplug(ctx context.Context, what string, same func(any) bool) error {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if err := vm.ready(ctx); err != nil {
		return fmt.Errorf("unplug %s: %w", what, err)
	}
	for i, s := range vm.slots {
		if s != nil && same(s) {
			vm.slots[i] = nil
			return nil
		}
	}
	return fmt.Errorf("unplug %s: %w", what, errdefs.ErrNotFound)
}

// Pause implements [hypervisor.Pauser].
func (vm *VM) Pause(ctx context.Context) error { return vm.setPaused(ctx, true) }

// Resume implements [hypervisor.Pauser].
func (vm *VM) Resume(ctx context.Context) error { return vm.setPaused(ctx, false) }

func (vm *VM) setPaused(ctx context.Context, paused bool) error {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if err := vm.ready(ctx); err != nil {
		return fmt.Errorf("pause or resume VM %s: %w", vm.cfg.ID, err)
	}
	vm.paused = paused
	if !paused {
		vm.guest.run()
	}
	return nil
}

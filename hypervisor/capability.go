// SPDX-License-Identifier: Apache-2.0

package hypervisor

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
)

// DiskPlugger is a VM that takes disks while it runs.
type DiskPlugger interface {
	// PlugDisk returns when the VMM has the disk; the guest notices it later.
	PlugDisk(ctx context.Context, d Disk) (PCIPath, error)
	// UnplugDisk returns when the guest has let go of the disk. An unknown id
	// is errdefs.ErrNotFound.
	UnplugDisk(ctx context.Context, id string) error
}

// NICPlugger is a VM that takes network devices while it runs.
type NICPlugger interface {
	// PlugNIC returns when the VMM has the device; the guest notices it later.
	PlugNIC(ctx context.Context, n NIC) (PCIPath, error)
	// UnplugNIC returns when the guest has let go of the device. An unknown id
	// is errdefs.ErrNotFound.
	UnplugNIC(ctx context.Context, id string) error
	// CutNIC takes the host's end away from a device whose TAP is gone, plugged or
	// not: to the guest, the cable is pulled. A VMM may read such a TAP over and over
	// otherwise. An unknown id, or one that was cut, is errdefs.ErrNotFound.
	CutNIC(ctx context.Context, id string) error
}

// SharePlugger is a VM that takes shares while it runs, if Config.LaterShares says
// so; otherwise it is errdefs.ErrFailedPrecondition.
type SharePlugger interface {
	// PlugShare returns when the VMM has connected to the share's daemon; the guest
	// notices the device later. A tag that is there is errdefs.ErrAlreadyExists.
	PlugShare(ctx context.Context, s Share) (PCIPath, error)
	// UnplugShare returns when the guest has let go of the device, which it does
	// when nothing of the share is mounted. An unknown tag is errdefs.ErrNotFound.
	UnplugShare(ctx context.Context, tag string) error
}

// MemoryBlockMiB is the unit in which a guest takes memory that is plugged: x86
// kernels turn memory on in blocks of 128 MiB.
const MemoryBlockMiB = 128

// MemoryPlugger is a VM whose memory can grow while it runs, if Config.MaxMemoryMiB
// says so; otherwise it is errdefs.ErrFailedPrecondition.
type MemoryPlugger interface {
	// PlugMemory adds mib MiB, a multiple of [MemoryBlockMiB], to the guest's memory
	// and returns when the VMM has them; the guest notices them later. They stay until
	// the VM's end. Another number is errdefs.ErrInvalidArgument, more than
	// Config.MaxMemoryMiB or oftener than Config.MemorySlots
	// errdefs.ErrResourceExhausted.
	PlugMemory(ctx context.Context, mib int) error
}

// Pauser is a VM whose vCPUs can be stopped and continued.
type Pauser interface {
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
}

// Snapshotter is a VM that can be saved, and cloned from what was saved any
// number of times, by VMs whose Config.From is what its Config.SaveTo was.
type Snapshotter interface {
	// Save stops the guest for good and writes the files of Config.SaveTo, which
	// are complete when it returns and the caller's from then on. The dialer
	// must have been closed before: a clone's guest waits for its own host. What
	// remains of the VM is to be stopped. A VM without Config.SaveTo is
	// errdefs.ErrFailedPrecondition.
	Save(ctx context.Context) error
	// Shape is a text that says all that must be alike in a VM that is saved and
	// in its clones, but for what is in files: a clone of a VM is possible when
	// their shapes are equal and their files unchanged. It may be asked for in
	// any state. It depends on the host as well as on the configuration.
	Shape(ctx context.Context) (string, error)
}

// AsDiskPlugger returns vm's disk hot-plug, or an [Unsupported] error.
func AsDiskPlugger(vm VM) (DiskPlugger, error) {
	return as[DiskPlugger](vm, "plugging a disk into a running VM")
}

// AsNICPlugger returns vm's network hot-plug, or an [Unsupported] error.
func AsNICPlugger(vm VM) (NICPlugger, error) {
	return as[NICPlugger](vm, "plugging a network device into a running VM")
}

// AsSharePlugger returns vm's hot-plug of shares, or an [Unsupported] error.
func AsSharePlugger(vm VM) (SharePlugger, error) {
	return as[SharePlugger](vm, "plugging a shared file system into a running VM")
}

// AsMemoryPlugger returns vm's hot-plug of memory, or an [Unsupported] error.
func AsMemoryPlugger(vm VM) (MemoryPlugger, error) {
	return as[MemoryPlugger](vm, "plugging memory into a running VM")
}

// AsPauser returns vm's pause and resume, or an [Unsupported] error.
func AsPauser(vm VM) (Pauser, error) {
	return as[Pauser](vm, "pausing a VM")
}

// AsSnapshotter returns vm's way of being saved, or an [Unsupported] error.
func AsSnapshotter(vm VM) (Snapshotter, error) {
	return as[Snapshotter](vm, "saving a VM")
}

func as[T any](vm VM, feature string) (T, error) {
	if t, ok := vm.(T); ok {
		return t, nil
	}
	var none T
	return none, Unsupported{VMM: vm.Describe().VMM, Feature: feature}
}

// Unsupported says that a VMM lacks a feature. It is errdefs.ErrNotImplemented.
type Unsupported struct {
	// VMM is the driver's name, Feature what was asked of it, as a noun phrase.
	VMM, Feature string
}

// Error names the VMM and the feature.
func (e Unsupported) Error() string {
	return fmt.Sprintf("%s does not support %s", e.VMM, e.Feature)
}

// Unwrap makes errors.Is(err, errdefs.ErrNotImplemented) true.
func (e Unsupported) Unwrap() error { return errdefs.ErrNotImplemented }

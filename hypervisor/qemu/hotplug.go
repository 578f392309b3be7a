// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/qemu/qmp"
	"github.com/katapod/katapod/protocols/timeouts"
)

// backend is what stands behind a device on the host.
type backend struct {
	// add makes it, remove unmakes it.
	add, remove func(ctx context.Context, i *instance) error
	// device is the device_add argument for a slot behind the bridge.
	device func(slot int) map[string]any
}

// plug puts a device into a free slot. On error the slot is free again
// and the backend unmade.
func (vm *VM) plug(ctx context.Context, device string, b backend) (hypervisor.PCIPath, error) {
	inst, err := vm.running()
	if err != nil {
		return "", err
	}
	p, err := inst.devices.reserve(device)
	if err != nil {
		return "", err
	}
	if err := b.add(ctx, inst); err != nil {
		inst.devices.free(p)
		return "", inst.whileAlive(err)
	}
	if err := inst.qmp.Execute(ctx, "device_add", b.device(laterSlot(p.slot)), nil); err != nil {
		return "", inst.whileAlive(inst.undoPlug(ctx, p, b, err))
	}
	return inst.devices.complete(p), nil
}

// undoPlug follows a device_add that failed with err. QEMU's refusal leaves
// nothing; a lost answer leaves open whether the device is there, so that it
// is told to go and the slot stays taken.
func (i *instance) undoPlug(ctx context.Context, p *plugged, b backend, err error) error {
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.LastWords)
	defer cancel()
	if !isRefusal(err) {
		i.devices.complete(p)
		return errors.Join(err, i.qmp.Execute(undo, "device_del", map[string]any{"id": p.device}, nil))
	}
	if rmErr := b.remove(undo, i); rmErr != nil {
		return errors.Join(err, rmErr) // The slot stays taken: what is in it is unknown.
	}
	i.devices.free(p)
	return err
}

// unplug asks the guest to let go of a device and waits until it has.
func (vm *VM) unplug(ctx context.Context, device string, b backend) error {
	inst, err := vm.running()
	if err != nil {
		return err
	}
	p, err := inst.devices.find(device)
	if err != nil {
		return err
	}
	if err := inst.letGo(ctx, p); err != nil {
		return inst.whileAlive(err)
	}
	if err := b.remove(ctx, inst); err != nil {
		return inst.whileAlive(err)
	}
	inst.devices.free(p)
	return nil
}

// letGo returns when the guest has let go of p.
func (i *instance) letGo(ctx context.Context, p *plugged) error {
	select {
	case <-p.gone: // An earlier call got this far, and failed after.
		return nil
	default:
	}
	err := i.qmp.Execute(ctx, "device_del", map[string]any{"id": p.device}, nil)
	if err != nil && !underWay(err) {
		return err
	}
	select {
	case <-p.gone:
		return nil
	case <-p.refusals:
		return fmt.Errorf("the guest refused to let go of the device: %w", errdefs.ErrFailedPrecondition)
	case <-i.proc.exited:
		return qmp.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("the guest has not let go of the device: %w", ctx.Err())
	}
}

// underWay recognises QEMU's answer to a second device_del while the guest has
// not yet answered the first.
func underWay(err error) bool {
	var refusal *qmp.Error
	return errors.As(err, &refusal) && strings.Contains(refusal.Desc, "in the process of unplug")
}

// isRefusal tells QEMU's own answer from a lost one.
func isRefusal(err error) bool {
	var refusal *qmp.Error
	return errors.As(err, &refusal)
}

// running is the instance of a VM that runs.
func (vm *VM) running() (*instance, error) {
	if err := vm.life.MustRun("use"); err != nil {
		return nil, err
	}
	if inst := vm.instance(); inst != nil {
		return inst, nil
	}
	return nil, fmt.Errorf("the VM has ended: %w", errdefs.ErrFailedPrecondition)
}

// whileAlive says that the VM ended where that is why err came up.
func (i *instance) whileAlive(err error) error {
	if errors.Is(err, qmp.ErrClosed) {
		return fmt.Errorf("the VM ended meanwhile: %w: %w", errdefs.ErrUnavailable, err)
	}
	return err
}

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

// PlugNIC implements [hypervisor.NICPlugger].
func (vm *VM) PlugNIC(ctx context.Context, n hypervisor.NIC) (hypervisor.PCIPath, error) {
	if err := checkNIC(n, map[string]bool{}); err != nil {
		return "", fmt.Errorf("plug a network device into VM %s: %w", vm.cfg.ID, err)
	}
	b := nicBackend(n.ID)
	b.add = func(ctx context.Context, i *instance) error { return i.addNetdev(ctx, n) }
	b.device = func(slot int) map[string]any { return nicDevice(n, bridgeID, slot) }
	path, err := vm.plug(ctx, nicDeviceID(n.ID), b)
	if err != nil {
		return "", fmt.Errorf("plug network device %s into VM %s: %w", n.ID, vm.cfg.ID, err)
	}
	return path, nil
}

// UnplugNIC implements [hypervisor.NICPlugger].
func (vm *VM) UnplugNIC(ctx context.Context, id string) error {
	if err := vm.unplug(ctx, nicDeviceID(id), nicBackend(id)); err != nil {
		return fmt.Errorf("unplug network device %s from VM %s: %w", id, vm.cfg.ID, err)
	}
	return nil
}

// CutNIC implements [hypervisor.NICPlugger]. QEMU polls a TAP that is gone, which is
// always ready with an error, without pause and under the lock that the guest's
// devices need.
func (vm *VM) CutNIC(ctx context.Context, id string) error {
	inst, err := vm.running()
	if err == nil {
		err = inst.whileAlive(inst.cut(ctx, id))
	}
	if err != nil {
		return fmt.Errorf("cut network device %s of VM %s off: %w", id, vm.cfg.ID, err)
	}
	return nil
}

// cut removes a network device's queues from QEMU.
func (i *instance) cut(ctx context.Context, id string) error {
	err := i.qmp.Execute(ctx, "netdev_del", map[string]any{"id": netdevID(id)}, nil)
	var refusal *qmp.Error
	if errors.As(err, &refusal) && refusal.Class == "DeviceNotFound" {
		return fmt.Errorf("%w: %w", err, errdefs.ErrNotFound)
	}
	return err
}

// nicBackend knows how to remove a network device's queues from QEMU; those of one
// that was cut are gone.
func nicBackend(id string) backend {
	return backend{remove: func(ctx context.Context, i *instance) error {
		if err := i.cut(ctx, id); !errdefs.IsNotFound(err) {
			return err
		}
		return nil
	}}
}

// addNetdev hands a NIC's queues to QEMU and joins them to a netdev.
func (i *instance) addNetdev(ctx context.Context, n hypervisor.NIC) error {
	var sent []string
	send := func(kind string, fds []int) (string, error) {
		var names []string
		for q, fd := range fds {
			name := fmt.Sprintf("%s-%s-%d", kind, n.ID, q)
			if err := i.qmp.SendFile(ctx, name, fd); err != nil {
				return "", err
			}
			names, sent = append(names, name), append(sent, name)
		}
		return strings.Join(names, ":"), nil
	}
	args := map[string]any{"type": "tap", "id": netdevID(n.ID)}
	err := func() error {
		taps, err := send("tap", n.TapFDs)
		if err != nil {
			return err
		}
		vhosts, err := send("vhost", n.VhostFDs)
		if err != nil {
			return err
		}
		args["fds"] = taps
		if vhosts != "" {
			args["vhost"], args["vhostfds"] = true, vhosts
		}
		return i.qmp.Execute(ctx, "netdev_add", args, nil)
	}()
	if err != nil {
		return errors.Join(err, i.closeFiles(ctx, sent))
	}
	return nil
}

// closeFiles takes back descriptors that QEMU did not use. It has closed those
// that it took up before it failed, and says so, which is no error.
func (i *instance) closeFiles(ctx context.Context, names []string) error {
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.LastWords)
	defer cancel()
	for _, name := range names {
		if err := i.qmp.Execute(undo, "closefd", map[string]any{"fdname": name}, nil); err != nil && !isRefusal(err) {
			return err
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"fmt"

	"github.com/katapod/katapod/hypervisor"
)

// PlugDisk implements [hypervisor.DiskPlugger].
func (vm *VM) PlugDisk(ctx context.Context, d hypervisor.Disk) (hypervisor.PCIPath, error) {
	if err := checkID(d.ID, map[string]bool{}); err != nil {
		return "", fmt.Errorf("plug a disk into VM %s: %w", vm.cfg.ID, err)
	}
	driver, err := blockDriver(d.Path)
	if err != nil {
		return "", fmt.Errorf("plug disk %s into VM %s: %w", d.ID, vm.cfg.ID, err)
	}
	b := diskBackend(d.ID)
	b.add = func(ctx context.Context, i *instance) error {
		return i.qmp.Execute(ctx, "blockdev-add", blockNode(d, driver), nil)
	}
	b.device = func(slot int) map[string]any { return diskDevice(d, bridgeID, slot) }
	path, err := vm.plug(ctx, diskDeviceID(d.ID), b)
	if err != nil {
		return "", fmt.Errorf("plug disk %s (%s) into VM %s: %w", d.ID, d.Path, vm.cfg.ID, err)
	}
	return path, nil
}

// UnplugDisk implements [hypervisor.DiskPlugger].
func (vm *VM) UnplugDisk(ctx context.Context, id string) error {
	if err := vm.unplug(ctx, diskDeviceID(id), diskBackend(id)); err != nil {
		return fmt.Errorf("unplug disk %s from VM %s: %w", id, vm.cfg.ID, err)
	}
	return nil
}

// diskBackend knows how to remove a disk's file from QEMU.
func diskBackend(id string) backend {
	return backend{remove: func(ctx context.Context, i *instance) error {
		return i.qmp.Execute(ctx, "blockdev-del", map[string]any{"node-name": nodeName(id)}, nil)
	}}
}

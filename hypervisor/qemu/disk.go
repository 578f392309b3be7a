// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/timeouts"
)

// PlugDisk implements [hypervisor.DiskPlugger].
func (vm *VM) PlugDisk(ctx context.Context, d hypervisor.Disk) (hypervisor.PCIPath, error) {
	if err := checkID(d.ID, map[string]bool{}); err != nil {
		return "", fmt.Errorf("plug a disk into VM %s: %w", vm.cfg.ID, err)
	}
	b := diskBackend(d.ID)
	b.add = func(ctx context.Context, i *instance) error {
		if !d.ReadOnly {
			i.writes.Store(true)
		}
		return i.addDisk(ctx, d)
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
		if err := i.qmp.Execute(ctx, "blockdev-del", map[string]any{"node-name": nodeName(id)}, nil); err != nil {
			return err
		}
		return i.dropSet(ctx, id)
	}}
}

// addDisk hands QEMU the file of a disk.
func (i *instance) addDisk(ctx context.Context, d hypervisor.Disk) error {
	file, driver, err := openDisk(d)
	if err != nil {
		return err
	}
	defer file.Close() // QEMU has a copy.
	set, err := i.qmp.AddFile(ctx, int(file.Fd()))
	if err != nil {
		return err
	}
	i.sets.put(d.ID, set)
	err = i.qmp.Execute(ctx, "blockdev-add", blockNode(d, diskFile{driver: driver, name: setName(set)}), nil)
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.LastWords)
		defer cancel()
		return errors.Join(err, i.dropSet(undo, d.ID))
	}
	return nil
}

// dropSet takes a disk's descriptor back from QEMU.
func (i *instance) dropSet(ctx context.Context, id string) error {
	set, known := i.sets.take(id)
	if !known {
		return nil
	}
	return i.qmp.Execute(ctx, "remove-fd", map[string]any{"fdset-id": set}, nil)
}

// diskSets are the sets of the descriptors of disks that were plugged, by id. All its
// methods are safe for concurrent use.
type diskSets struct {
	// mu guards what follows.
	mu   sync.Mutex
	byID map[string]int
}

func (s *diskSets) put(id string, set int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = map[string]int{}
	}
	s.byID[id] = set
}

func (s *diskSets) take(id string) (set int, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, known = s.byID[id]
	delete(s.byID, id)
	return set, known
}

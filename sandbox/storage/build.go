// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"

	"github.com/katapod/katapod/protocols/agentpb"
)

// Storages returns what the agent is told to mount for the root: each disk,
// then the overlay. address returns the guest's PCI path of the disk of that
// index.
func (r Root) Storages(address func(disk int) (string, error)) ([]*agentpb.Storage, error) {
	storages, err := diskStorages(r.Disks, address)
	if err != nil {
		return nil, err
	}
	if r.Overlay != nil {
		storages = append(storages, r.Overlay)
	}
	return storages, nil
}

// AgentStorages returns what the agent is told to mount for the plan: its disks
// that carry a file system, then the rest.
func (p Plan) AgentStorages(address func(disk int) (string, error)) ([]*agentpb.Storage, error) {
	storages, err := diskStorages(p.Disks, address)
	if err != nil {
		return nil, err
	}
	return append(storages, p.Storages...), nil
}

// AgentDevices returns the disks that the container sees as devices.
func (p Plan) AgentDevices(address func(disk int) (string, error)) ([]*agentpb.Device, error) {
	var devices []*agentpb.Device
	for _, d := range p.Devices {
		at, err := address(d.Disk)
		if err != nil {
			return nil, fmt.Errorf("where the guest sees the disk %s: %w", p.Disks[d.Disk].HostPath, err)
		}
		devices = append(devices, &agentpb.Device{Id: at, Type: "blk", ContainerPath: d.ContainerPath})
	}
	return devices, nil
}

func diskStorages(disks []Disk, address func(disk int) (string, error)) ([]*agentpb.Storage, error) {
	var storages []*agentpb.Storage
	for i, d := range disks {
		if d.GuestMount == "" {
			continue
		}
		at, err := address(i)
		if err != nil {
			return nil, fmt.Errorf("where the guest sees the disk %s: %w", d.HostPath, err)
		}
		storages = append(storages, &agentpb.Storage{
			Driver: "blk", Source: at, Fstype: d.FSType, Options: d.Options, MountPoint: d.GuestMount,
		})
	}
	return storages, nil
}

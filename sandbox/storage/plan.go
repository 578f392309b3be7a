// SPDX-License-Identifier: Apache-2.0

package storage

import "github.com/katapod/katapod/protocols/agentpb"

// Plan is how the mounts of one container reach the guest.
type Plan struct {
	// Mounts replace the spec's mounts, in the spec's order.
	Mounts []GuestMount
	// Shares are made on the host below the shared directory, in this order.
	Shares []Share
	// Disks are plugged, and mounted where GuestMount is set.
	Disks []Disk
	// Devices are the Disks that a container sees as devices.
	Devices []Device
	// Copies are sent to the guest before the container is created.
	Copies []Copy
	// Storages are made by the agent; they need no disk.
	Storages []*agentpb.Storage
}

// Share is a file or directory of the host bound below the shared directory.
type Share struct {
	// Name is the entry in the shared directory.
	Name string
	// Source is the path on the host; Directory tells what to bind it to.
	Source    string
	Directory bool
	// Access is enforced on the host.
	Access Access
	// Recursive takes mounts below Source along.
	Recursive bool
	// IDMap is applied on the host.
	IDMap IDMap
}

// Access is what may be done with a Share.
type Access int

// What the mount options of the OCI specification ask for: rw, ro, rro.
const (
	// Writable leaves it to the file systems.
	Writable Access = iota
	// ReadOnly is for the mount alone: one below it stays as it is.
	ReadOnly
	// ReadOnlyBelow is for the mount and every one below it.
	ReadOnlyBelow
)

// Device is a disk that a container sees as a block device.
type Device struct {
	// Disk is an index of the plan's Disks.
	Disk int
	// ContainerPath is the device's path in the container.
	ContainerPath string
	// Major and Minor are its numbers on the host; the agent replaces them by
	// the guest's.
	Major, Minor int64
}

// Copy is a file that is sent to the guest once.
type Copy struct {
	// Source is the path on the host; GuestPath where it goes.
	Source, GuestPath string
	// OfPod says that the containers of the pod have one copy together. It is sent
	// again when the file on the host has changed.
	OfPod bool
	// IDMap is applied to its owner.
	IDMap IDMap
}

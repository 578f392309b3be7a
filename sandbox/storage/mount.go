// SPDX-License-Identifier: Apache-2.0

package storage

// Mount is a mount as containerd hands it over: of the OCI spec, or of a
// container's root file system.
type Mount struct {
	// Type is the file system or what containerd has in its place
	// ("format/mkdir/overlay"); Source a path or a word; Destination a path in
	// the container, empty for a root file system.
	Type, Source, Destination string
	// Options are in the notation of fstab.
	Options []string
	// IDMap is for mounts of the OCI spec.
	IDMap IDMap
}

// GuestMount is a mount of the spec that the guest gets. Source is a path of the
// guest.
type GuestMount struct {
	Destination, Source, Type string
	Options                   []string
	// IDMap is applied by the guest.
	IDMap IDMap
}

// Capabilities are what the VM can do with storage.
type Capabilities struct {
	// DiskHotplug is whether a running VM takes disks.
	DiskHotplug bool
	// SharedFS is whether a file system is shared with the host.
	SharedFS bool
}

// Disk is a block device that the guest gets, with a file system mounted on it
// or, where GuestMount is empty, as it is.
type Disk struct {
	// HostPath is a regular file or block device in raw format.
	HostPath string
	ReadOnly bool
	// FSType and Options are how the guest mounts it.
	FSType  string
	Options []string
	// GuestMount is where the guest mounts it.
	GuestMount string
	// MkfsSize, when it is not 0, is the size in bytes of the file that the
	// host creates at HostPath, with an empty file system of type FSType on
	// it, unless HostPath exists.
	MkfsSize int64
}

// HostMount is a mount that the host makes below the shared directory.
type HostMount struct {
	// Type, Source and Options are as mount(8) has them.
	Type, Source string
	Options      []string
	// Target is relative to the shared directory.
	Target string
}

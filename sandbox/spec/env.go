// SPDX-License-Identifier: Apache-2.0

package spec

import "github.com/katapod/katapod/sandbox/storage"

// Env is what the guest's form of a spec depends on beside the spec itself.
type Env struct {
	// ContainerID names the container in the guest.
	ContainerID string
	// RootPath is the root file system's path in the guest.
	RootPath string
	// SharedPIDNS is whether the pod's containers share the sandbox's PID
	// namespace. Without it a container cannot join another's.
	SharedPIDNS bool
	// Mounts take the place of the spec's, already in the guest's form.
	Mounts []storage.GuestMount
	// Devices are block devices that the storage plan gives the container.
	Devices []storage.Device
	// DisableSeccomp drops the seccomp profile (disable_guest_seccomp).
	DisableSeccomp bool
	// DisableSELinux drops SELinux labels (disable_guest_selinux); otherwise
	// they are refused.
	DisableSELinux bool
	// VCPUs is how many CPUs the guest has; a cpuset beyond them is dropped.
	// 0 means unknown: every cpuset is dropped.
	VCPUs int
}

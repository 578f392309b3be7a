// SPDX-License-Identifier: Apache-2.0

package storage

import "path"

// Places in the guest that both sides agree on (the agent protocol, section
// "guest paths").
const (
	// ShareTag is the virtio-fs tag of the sandbox's one share.
	ShareTag = "kataShared"
	// ShareMount is where the guest mounts it.
	ShareMount = "/run/kata-containers/shared/containers/"
	// ShmPath is the pod's /dev/shm.
	ShmPath = "/run/kata-containers/sandbox/shm"
	// ephemeralDir holds memory-backed volumes that containers of a pod share.
	ephemeralDir = "/run/kata-containers/sandbox/ephemeral"
	// filesDir holds files of the engine that containers of a pod share.
	filesDir = "/run/kata-containers/sandbox/files"
	// containersDir holds what belongs to one container.
	containersDir = "/run/kata-containers"
)

// SharedRoot is where the guest finds container cid's root on the share.
func SharedRoot(cid string) string { return path.Join(ShareMount, cid, "rootfs") }

// DiskRoot is where the guest mounts container cid's root when it comes from
// disks.
func DiskRoot(cid string) string { return path.Join(containersDir, cid, "rootfs") }

// SPDX-License-Identifier: Apache-2.0

package sizing

import "github.com/katapod/katapod/sandbox/hostcgroup"

// Overhead returns the host memory in bytes that a VM of that size may take
// beside its guest's memory: the VMM, virtiofsd, the shim, and page tables.
func Overhead(size Size, vmm string) (memoryBytes int64) {
	base := int64(160)
	if vmm != "qemu" {
		base = 128
	}
	return (base + int64(size.VCPUs)*4 + int64(size.MemoryMiB)/64) * mib
}

// HostLimits returns the limits of the pod's cgroup on the host. The memory
// limit covers the whole VM and its overhead, so that the kernel of the guest,
// which knows the containers, is the one to choose whom to kill.
func HostLimits(r Request, size Size, vmm string) hostcgroup.Limits {
	l := hostcgroup.Limits{CPUShares: r.CPUShares, Cpus: r.Cpuset}
	if r.MemoryBytes > 0 {
		l.MemoryBytes = int64(size.MemoryMiB)*mib + Overhead(size, vmm)
	}
	return l
}

// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/hostcgroup"
)

// overhead is what one VMM takes beside its guest's memory.
type overhead struct {
	// fixed and perVCPU are in bytes; perMemory is a divisor of the guest's
	// memory: page tables, and the bitmaps and slots that VMMs keep per page.
	fixed, perVCPU, perMemory int64
}

// overheadOf is generous on purpose: a limit that is too high costs nothing as
// long as nobody uses it, one that is too low kills the pod. Each includes the
// shim (16 MiB), virtiofsd (48 MiB with its cache of open files) and page tables
// (1/512 of the guest's memory, twice: the VMM's and virtiofsd's).
func overheadOf(vmm string) overhead {
	switch vmm {
	case "qemu":
		return overhead{fixed: 352 * mib, perVCPU: 8 * mib, perMemory: 128}
	case "cloud-hypervisor", "firecracker", "fake":
		return overhead{fixed: 128 * mib, perVCPU: 4 * mib, perMemory: 128}
	default:
		return overhead{fixed: 384 * mib, perVCPU: 8 * mib, perMemory: 64}
	}
}

// Overhead returns the memory in bytes that a VM of that size may take on the
// host beside its guest's memory: the VMM, its helpers, the shim and page
// tables. The name of the VMM is that of hypervisor.Description; one that is
// not known counts as the largest. Under TCG QEMU's cache of translated code is
// within the fixed part, with 128 MiB (tb-size=128 of -accel tcg).
func Overhead(size Size, vmm string) (memoryBytes int64) {
	o := overheadOf(vmm)
	return o.fixed + int64(size.VCPUs)*o.perVCPU + int64(size.MemoryMiB)*mib/o.perMemory
}

// HostLimits returns the limits of the pod's cgroup on the host for a VM of that
// size, see the package comment.
func HostLimits(r Request, size Size, vmm string) hostcgroup.Limits {
	l := hostcgroup.Limits{CPUShares: r.CPUShares, Cpus: r.Cpuset}
	if r.MemoryBytes > 0 {
		l.MemoryBytes = footprint(size, vmm)
	}
	return l
}

// CheckParent compares with the memory limit of the parent cgroup, in bytes; 0
// or less is no limit. A limit that the VM can exceed is
// errdefs.ErrFailedPrecondition.
func CheckParent(size Size, vmm string, parentBytes int64) error {
	if need := footprint(size, vmm); parentBytes > 0 && need > parentBytes {
		return fmt.Errorf("the pod's cgroup allows %d MiB, but the VM may take %d MiB: %d of the guest and %d of overhead; "+
			"add the overhead to the RuntimeClass (overhead.podFixed.memory) or lower default_memory: %w",
			parentBytes/mib, need/mib, size.MemoryMiB, Overhead(size, vmm)/mib, errdefs.ErrFailedPrecondition)
	}
	return nil
}

// footprint is the most that the VM takes on the host, in bytes.
func footprint(size Size, vmm string) int64 {
	return int64(size.MemoryMiB)*mib + Overhead(size, vmm)
}

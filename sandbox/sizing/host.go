// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/hostcgroup"
)

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

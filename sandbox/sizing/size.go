// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// Bounds are the limits and defaults that the configuration and the host set.
type Bounds struct {
	// DefaultVCPUs is what the guest has before containers ask for more;
	// negative means HostCPUs. MaxVCPUs 0 means HostCPUs.
	DefaultVCPUs, MaxVCPUs int
	// DefaultMemoryMiB is the same for memory; MaxMemoryMiB 0 means
	// HostMemoryMiB.
	DefaultMemoryMiB, MaxMemoryMiB int
	// HostCPUs and HostMemoryMiB are what the host has.
	HostCPUs, HostMemoryMiB int
}

// Size is what a VM gets.
type Size struct {
	VCPUs, MemoryMiB int
	// Queues is the number of queue pairs of each network device.
	Queues int
}

const (
	defaultPeriod = 100_000
	mib           = 1 << 20
	maxQueues     = 8
	blockMiB      = hypervisor.MemoryBlockMiB
)

// Base is the memory in MiB of a VM whose containers ask for none, from which all
// others grow, and Most what it can grow to. They are of use once [VM] has found the
// bounds to be good.
func (c Bounds) Base() int { return c.DefaultMemoryMiB }

// Most see [Bounds.Base].
func (c Bounds) Most() int {
	c, err := c.resolve()
	if err != nil {
		return c.DefaultMemoryMiB
	}
	return c.DefaultMemoryMiB + (c.MaxMemoryMiB-c.DefaultMemoryMiB)/blockMiB*blockMiB
}

// VM returns the size of the VM for r. See the package comment for the rules.
// Bounds that contradict themselves are errdefs.ErrInvalidArgument; a memory
// request beyond the bounds is errdefs.ErrFailedPrecondition, since a container
// that cannot have its memory would be killed later without a reason.
func VM(r Request, c Bounds) (Size, error) {
	c, err := c.resolve()
	if err != nil {
		return Size{}, err
	}
	memory, err := memoryMiB(r, c)
	if err != nil {
		return Size{}, err
	}
	vcpus := min(c.DefaultVCPUs+requestedCPUs(r, c.HostCPUs), c.MaxVCPUs)
	return Size{VCPUs: vcpus, MemoryMiB: memory, Queues: min(vcpus, maxQueues)}, nil
}

// resolve replaces what stands for "as the host has".
func (c Bounds) resolve() (Bounds, error) {
	if c.HostCPUs < 1 || c.HostMemoryMiB < 1 {
		return c, fmt.Errorf("sizing a VM: a host of %d CPUs and %d MiB of memory makes no sense: %w",
			c.HostCPUs, c.HostMemoryMiB, errdefs.ErrInvalidArgument)
	}
	if c.MaxVCPUs <= 0 || c.MaxVCPUs > c.HostCPUs {
		c.MaxVCPUs = c.HostCPUs
	}
	if c.DefaultVCPUs < 0 {
		c.DefaultVCPUs = c.HostCPUs
	}
	c.DefaultVCPUs = max(1, min(c.DefaultVCPUs, c.MaxVCPUs))
	if c.MaxMemoryMiB <= 0 || c.MaxMemoryMiB > c.HostMemoryMiB {
		c.MaxMemoryMiB = c.HostMemoryMiB
	}
	if c.DefaultMemoryMiB < 1 || c.DefaultMemoryMiB > c.MaxMemoryMiB {
		return c, fmt.Errorf("sizing a VM: default_memory is %d MiB, which is not between 1 and the %d MiB that "+
			"default_maxmemory and the host allow; change one of them: %w",
			c.DefaultMemoryMiB, c.MaxMemoryMiB, errdefs.ErrInvalidArgument)
	}
	return c, nil
}

// requestedCPUs rounds the quota up to whole CPUs; a cpuset counts when there is
// no quota. It is at most hostCPUs.
func requestedCPUs(r Request, hostCPUs int) int {
	if r.CPUQuota <= 0 {
		return min(countCPUs(r.Cpuset), hostCPUs)
	}
	period := r.CPUPeriod
	if period == 0 {
		period = defaultPeriod
	}
	quota := uint64(r.CPUQuota)
	cpus := quota / period
	if quota%period != 0 {
		cpus++
	}
	return int(min(cpus, uint64(hostCPUs)))
}

// memoryMiB adds the request, rounded up to blocks, to the default.
func memoryMiB(r Request, c Bounds) (int, error) {
	if r.MemoryBytes <= 0 {
		return c.DefaultMemoryMiB, nil
	}
	blocks := (r.MemoryBytes-1)/(blockMiB*mib) + 1
	asked := int64(c.DefaultMemoryMiB) + blocks*blockMiB
	if asked > int64(c.MaxMemoryMiB) {
		return 0, fmt.Errorf("sizing a VM: the containers' %d MiB and default_memory %d MiB exceed the %d MiB that "+
			"default_maxmemory and the host allow; lower the pod's memory limit or raise default_maxmemory: %w",
			(r.MemoryBytes-1)/mib+1, c.DefaultMemoryMiB, c.MaxMemoryMiB, errdefs.ErrFailedPrecondition)
	}
	return int(asked), nil
}

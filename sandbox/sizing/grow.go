// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	"fmt"

	"github.com/containerd/errdefs"
)

// Merge is r with what it says nothing about taken from before.
func (r Request) Merge(before Request) Request {
	if r.CPUQuota == 0 {
		r.CPUQuota, r.CPUPeriod = before.CPUQuota, before.CPUPeriod
	}
	if r.CPUShares == 0 {
		r.CPUShares = before.CPUShares
	}
	if r.Cpuset == "" {
		r.Cpuset = before.Cpuset
	}
	if r.MemoryBytes == 0 {
		r.MemoryBytes = before.MemoryBytes
	}
	return r
}

// FitsCPUs tells whether a VM has the CPUs that r asks for. More of them than it has
// is errdefs.ErrFailedPrecondition.
func (r Request) FitsCPUs(size Size) error {
	if now := requestedCPUs(r, maxCPUs); now > size.VCPUs {
		return fmt.Errorf("the pod asks for %d CPUs and its VM was started with %d; a VM keeps the CPUs that it was started with, "+
			"so create the pod anew: %w", now, size.VCPUs, errdefs.ErrFailedPrecondition)
	}
	return nil
}

// maxCPUs is more than any host has.
const maxCPUs = 1 << 20

// Grow is the size of a VM of size now when its containers are to have r's memory. It
// is now unless the guest could not hold that much beside itself; then it is what a
// VM for r would start with, or all that the bounds allow if r fits into that. It is
// never less than now. More than the bounds allow is errdefs.ErrFailedPrecondition.
func Grow(now Size, r Request, c Bounds) (Size, error) {
	if r.MemoryBytes <= Room(now) {
		return now, nil
	}
	wanted, err := VM(Request{MemoryBytes: r.MemoryBytes}, c)
	if err != nil {
		wanted.MemoryMiB = c.Most()
		if r.MemoryBytes > Room(wanted) {
			return now, err
		}
	}
	now.MemoryMiB = max(now.MemoryMiB, wanted.MemoryMiB)
	return now, nil
}

// Room is how much memory in bytes containers can use in a VM of that size, beside
// the guest's kernel, its agent, and what the kernel keeps about each page (1/64 of
// the memory, and as much again for tables of processes).
func Room(size Size) int64 {
	return max(0, int64(size.MemoryMiB-guestOwnMiB-size.MemoryMiB/32)*mib)
}

// guestOwnMiB is set aside for the guest's kernel and its agent.
const guestOwnMiB = 128

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

// Fits tells whether a VM that was sized for before holds a pod that may use r.
// One that asks for more is errdefs.ErrFailedPrecondition: its containers would be
// promised what the guest does not have.
func (r Request) Fits(before Request, size Size) error {
	if now := requestedCPUs(r, maxCPUs); now > size.VCPUs {
		return fmt.Errorf("the pod asks for %d CPUs and its VM was started with %d; a VM keeps the size it was started with, "+
			"so create the pod anew: %w", now, size.VCPUs, errdefs.ErrFailedPrecondition)
	}
	room := before.MemoryBytes
	if room <= 0 {
		room = int64(size.MemoryMiB) * mib // nothing was said: containers had the whole guest
	}
	if r.MemoryBytes > room {
		return fmt.Errorf("the pod asks for %d MiB of memory and its VM was sized for %d; a VM keeps the size it was started with, "+
			"so create the pod anew: %w", (r.MemoryBytes-1)/mib+1, room/mib, errdefs.ErrFailedPrecondition)
	}
	return nil
}

// maxCPUs is more than any host has.
const maxCPUs = 1 << 20

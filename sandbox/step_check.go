// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/sandbox/sizing"
)

// check finds what can be known to be wrong before anything is acquired, and
// how large the VM is to be.
func (s *Sandbox) check(context.Context) error {
	if err := s.drivers.Check(s.options.Config); err != nil {
		return err
	}
	if !s.shares() {
		if err := s.refuseBinds(); err != nil {
			return err
		}
	}
	cpus, memory, err := s.drivers.Host()
	if err != nil {
		return fmt.Errorf("read the host's CPUs and memory: %w", err)
	}
	h := s.options.Config.Hypervisor
	bounds := sizing.Bounds{
		DefaultVCPUs: h.DefaultVCPUs, MaxVCPUs: h.DefaultMaxVCPUs,
		DefaultMemoryMiB: h.DefaultMemory, MaxMemoryMiB: h.DefaultMaxMemory,
		HostCPUs: cpus, HostMemoryMiB: memory,
	}
	size, err := sizing.VM(s.options.Resources, bounds)
	if errdefs.IsFailedPrecondition(err) {
		return failure.With(failure.TooLarge, err)
	}
	if err != nil {
		return failure.With(failure.ConfigInvalid, err)
	}
	s.parts.with(func(p *parts) { p.bounds, p.size = bounds, size })
	return nil
}

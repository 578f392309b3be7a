// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/hostcgroup"
	"github.com/katapod/katapod/sandbox/sizing"
)

// Update changes what the pod's containers may use together; a zero field keeps
// what was there. The VM keeps its size, so only the limits of the pod's cgroup on
// the host follow: its weight and its CPUs. What the VM cannot hold, and a pod that
// does not run, is errdefs.ErrFailedPrecondition.
func (s *Sandbox) Update(_ context.Context, r sizing.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != StateRunning {
		return fmt.Errorf("update pod %s: it is %s: %w", s.options.ID, s.state, errdefs.ErrFailedPrecondition)
	}
	r = r.Merge(s.allowed)
	if err := r.Fits(s.options.Resources, s.size()); err != nil {
		return fmt.Errorf("update pod %s: %w", s.options.ID, err)
	}
	var group Cgroup
	s.parts.with(func(p *parts) { group = p.cgroup })
	if group != nil {
		if err := group.Update(weight(r)); err != nil {
			return fmt.Errorf("update pod %s: %w", s.options.ID, err)
		}
	}
	s.allowed = r
	return nil
}

// weight leaves the memory out: it is the VM's size that the host's limit covers.
func weight(r sizing.Request) hostcgroup.Limits {
	return hostcgroup.Limits{CPUShares: r.CPUShares, Cpus: r.Cpuset}
}

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
// what was there. The VM gets the memory that it needs more, and the pod's cgroup on
// the host its weight and CPUs. What the VM cannot have, and a pod that does not run,
// is errdefs.ErrFailedPrecondition.
func (s *Sandbox) Update(ctx context.Context, r sizing.Request) error {
	if err := s.update(ctx, r); err != nil {
		return fmt.Errorf("update pod %s: %w", s.options.ID, err)
	}
	return nil
}

func (s *Sandbox) update(ctx context.Context, r sizing.Request) error {
	done, err := s.memory.turn.enter(ctx)
	if err != nil {
		return fmt.Errorf("wait for another update: %w", err)
	}
	defer done()
	if r, err = s.mayUpdate(r); err != nil {
		return err
	}
	if err := s.growFor(ctx, r); err != nil {
		return err
	}
	if group := s.cgroup(); group != nil {
		if err := group.Update(weight(r)); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed = r
	return nil
}

// mayUpdate is r with what it says nothing about, unless the pod cannot be updated to
// it.
func (s *Sandbox) mayUpdate(r sizing.Request) (sizing.Request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != StateRunning {
		return r, fmt.Errorf("it is %s: %w", s.state, errdefs.ErrFailedPrecondition)
	}
	r = r.Merge(s.allowed)
	return r, r.FitsCPUs(s.size())
}

// weight leaves the memory out: it is the VM's size that the host's limit covers, and
// it follows that size, see plugMemory.
func weight(r sizing.Request) hostcgroup.Limits {
	return hostcgroup.Limits{CPUShares: r.CPUShares, Cpus: r.Cpuset}
}

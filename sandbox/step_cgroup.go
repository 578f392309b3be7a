// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/sandbox/hostcgroup"
	"github.com/katapod/katapod/sandbox/sizing"
)

// startCgroup makes the pod's cgroup on the host and puts the shim in it, so
// that whatever it starts is in it from its first instruction.
func (s *Sandbox) startCgroup(ctx context.Context) error {
	path, err := s.cgroupPath()
	if err != nil {
		return failure.With(failure.ConfigInvalid, err)
	}
	c := s.options.Config
	limits := sizing.HostLimits(s.options.Resources, s.size(), c.Hypervisor.Name)
	return s.resources.acquire(ctx, cgroupOf(path), func() error {
		group, err := s.drivers.NewCgroup(path, limits)
		if err != nil {
			return fmt.Errorf("make the pod's cgroup %s: %w", path, err)
		}
		s.parts.with(func(p *parts) { p.cgroup = group })
		if !c.Runtime.SandboxCgroupOnly {
			return nil
		}
		if err := group.Add(os.Getpid()); err != nil {
			return fmt.Errorf("put the shim in the pod's cgroup %s: %w", path, err)
		}
		return nil
	})
}

func (s *Sandbox) undoCgroup(ctx context.Context) error {
	path, err := s.cgroupPath()
	if err != nil {
		return nil // startCgroup said so, and made none
	}
	return s.resources.release(ctx, cgroupOf(path))
}

// cgroupPath is the pod's cgroup, beside that of the container that stands for
// the pod. One that no engine placed is told apart by its namespace as well.
func (s *Sandbox) cgroupPath() (string, error) {
	if s.options.CgroupPath == "" && s.options.Namespace != "" {
		return hostcgroup.PathFor("", s.options.ID+"@"+s.options.Namespace)
	}
	return hostcgroup.PathFor(s.options.CgroupPath, s.options.ID)
}

// adopt puts a process of the pod in its cgroup and in the ledger, at once
// after it began.
func (s *Sandbox) adopt(pid int) error {
	err := s.recordProcess(pid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is gone already; whoever started it notices
	}
	if err != nil {
		return err
	}
	var group Cgroup
	s.parts.with(func(p *parts) { group = p.cgroup })
	if group == nil {
		return nil
	}
	if err := group.Add(pid); err != nil && !errors.Is(err, unix.ESRCH) { // gone, as above
		return failure.With(failure.CgroupFailed, fmt.Errorf("put process %d in the pod's cgroup: %w", pid, err))
	}
	return nil
}

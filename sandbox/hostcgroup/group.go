// SPDX-License-Identifier: Apache-2.0

package hostcgroup

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/errdefs"
)

// hierarchy is what one version of cgroups does. Errors are raw; Group says
// what was tried on what.
type hierarchy interface {
	// add moves a process.
	add(pid int) error
	// update writes limits that were checked against the controllers.
	update(Limits) error
	// remove moves what is left to the parent and removes the directories. A
	// group that is gone is no error.
	remove(ctx context.Context) error
	// places are the group's directories.
	places() []string
	stat() (Stats, error)
	oomKills() (uint64, error)
	// controllers are the ones in use.
	controllers() []string
}

// Group is the control group of a sandbox. Its methods are safe for concurrent
// use, as far as the kernel's files are.
type Group struct {
	path string
	h    hierarchy
}

// wanted are the controllers that limits and metrics need.
var wanted = [...]string{"cpu", "cpuset", "memory", "pids"}

// Create makes the group at path, see [PathFor], and sets its limits; one that
// is there already is taken over. On error nothing is left behind that was not
// there before. A host without cgroups is errdefs.ErrUnavailable; a limit whose
// controller the host lacks is errdefs.ErrFailedPrecondition.
func Create(path string, l Limits) (*Group, error) {
	where, err := locate(path)
	if err != nil {
		return nil, err
	}
	var h hierarchy
	switch mode := cgroups.Mode(); mode {
	case cgroups.Unified:
		h, err = createV2(mountpoint, where, l)
	case cgroups.Legacy, cgroups.Hybrid:
		h, err = createV1(mountpoint, where, l)
	default:
		return nil, errNoCgroups
	}
	if err != nil {
		return nil, fmt.Errorf("creating the host cgroup %s: %w", path, err)
	}
	return &Group{path: path, h: h}, nil
}

// Load returns the group at path, which must exist: errdefs.ErrNotFound.
func Load(path string) (*Group, error) {
	where, err := locate(path)
	if err != nil {
		return nil, err
	}
	var h hierarchy
	switch mode := cgroups.Mode(); mode {
	case cgroups.Unified:
		h, err = loadV2(mountpoint, where)
	case cgroups.Legacy, cgroups.Hybrid:
		h, err = loadV1(mountpoint, where)
	default:
		return nil, errNoCgroups
	}
	if err != nil {
		return nil, fmt.Errorf("loading the host cgroup %s: %w", path, err)
	}
	return &Group{path: path, h: h}, nil
}

// mountpoint is where every distribution mounts cgroups.
const mountpoint = "/sys/fs/cgroup"

var errNoCgroups = fmt.Errorf("no cgroups are mounted at %s; mount cgroup2 there: %w", mountpoint, errdefs.ErrUnavailable)

// Path is what Create or Load was given.
func (g *Group) Path() string { return g.path }

// Missing lists the controllers that the host lacks, of those that limits and
// metrics need.
func (g *Group) Missing() []string {
	var missing []string
	for _, c := range wanted {
		if !slices.Contains(g.h.controllers(), c) {
			missing = append(missing, c)
		}
	}
	return missing
}

// Add moves a process with all its threads into the group, in all controllers.
// Its later children follow.
func (g *Group) Add(pid int) error {
	if err := g.h.add(pid); err != nil {
		return fmt.Errorf("moving process %d to the host cgroup %s: %w", pid, g.path, err)
	}
	return nil
}

// Update changes limits.
func (g *Group) Update(l Limits) error {
	err := enforceable(l, g.h.controllers())
	if err == nil {
		err = g.h.update(l)
	}
	if err != nil {
		return fmt.Errorf("changing the limits of the host cgroup %s: %w", g.path, err)
	}
	return nil
}

// Delete moves processes that are still in the group to its parent and removes
// it. A group that is gone already is no error. Processes that are ending cannot
// be moved: it waits for them until ctx ends, and may be called again.
func (g *Group) Delete(ctx context.Context) error {
	if err := g.h.remove(ctx); err != nil {
		return fmt.Errorf("removing the host cgroup %s: %w", g.path, err)
	}
	return nil
}

// Kill sends SIGKILL to every process in the group and its sub-groups but the
// caller. It does not wait for their ends; Delete does.
func (g *Group) Kill() error {
	if err := killIn(g.h.places()); err != nil {
		return fmt.Errorf("killing the processes in the host cgroup %s: %w", g.path, err)
	}
	return nil
}

// Stat returns what the group used so far.
func (g *Group) Stat() (Stats, error) {
	s, err := g.h.stat()
	if err != nil {
		return Stats{}, fmt.Errorf("reading the metrics of the host cgroup %s: %w", g.path, err)
	}
	return s, nil
}

// OOMKills is how many processes of the group the kernel killed for lack of
// memory so far. Above 0, the VMM or a helper was hit, and the sizing is wrong.
func (g *Group) OOMKills() (uint64, error) {
	n, err := g.h.oomKills()
	if err != nil {
		return 0, fmt.Errorf("reading the OOM kills of the host cgroup %s: %w", g.path, err)
	}
	return n, nil
}

// enforceable tells whether the controllers that l needs are there.
func enforceable(l Limits, controllers []string) error {
	for _, need := range []struct {
		controller, limit string
		asked             bool
	}{
		{"cpu", "a CPU quota or shares", l.CPUQuota != 0 || l.CPUPeriod != 0 || l.CPUShares != 0},
		{"memory", "a memory limit", l.MemoryBytes != 0},
		{"cpuset", "a set of CPUs or memory nodes", l.Cpus != "" || l.Mems != ""},
		{"pids", "a limit of tasks", l.Pids != 0},
	} {
		if need.asked && !slices.Contains(controllers, need.controller) {
			return fmt.Errorf("%s cannot be enforced: the host lacks the cgroup controller %q; "+
				"enable it on the kernel's command line or remove the limit: %w",
				need.limit, need.controller, errdefs.ErrFailedPrecondition)
		}
	}
	return nil
}

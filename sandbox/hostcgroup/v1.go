// SPDX-License-Identifier: Apache-2.0

package hostcgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/timeouts"
)

// v1 is a group of cgroup v1: a directory in each controller's hierarchy.
type v1 struct {
	group cgroup1.Cgroup
	// dirs are the directories, by controller.
	dirs map[string]string
}

func createV1(root string, where location, l Limits) (*v1, error) {
	subsystems := subsystemsV1(root)
	h := newV1(root, where, subsystems)
	if err := enforceable(l, h.controllers()); err != nil {
		return nil, err
	}
	created := h.absent()
	group, err := cgroup1.New(cgroup1.StaticPath(where.dir), resourcesV1(l), hierarchyV1(subsystems)...)
	if err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), timeouts.CgroupTakeBack)
		defer cancel()
		return nil, errors.Join(err, removeDirs(ctx, created))
	}
	h.group = group
	return h, nil
}

func loadV1(root string, where location) (*v1, error) {
	subsystems := subsystemsV1(root)
	group, err := cgroup1.Load(cgroup1.StaticPath(where.dir), hierarchyV1(subsystems)...)
	if errors.Is(err, cgroup1.ErrCgroupDeleted) {
		return nil, fmt.Errorf("it does not exist: %w", errdefs.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	h := newV1(root, where, group.Subsystems())
	h.group = group
	return h, nil
}

func newV1(root string, where location, subsystems []cgroup1.Subsystem) *v1 {
	h := &v1{dirs: map[string]string{}}
	for _, s := range subsystems {
		h.dirs[string(s.Name())] = filepath.Join(root, string(s.Name()), where.dir)
	}
	return h
}

// hierarchyV1 makes the library take exactly these subsystems.
func hierarchyV1(subsystems []cgroup1.Subsystem) []cgroup1.InitOpts {
	return []cgroup1.InitOpts{
		cgroup1.WithHierarchy(func() ([]cgroup1.Subsystem, error) { return subsystems, nil }),
		func(c *cgroup1.InitConfig) error { c.InitCheck = cgroup1.AllowAny; return nil },
	}
}

// subsystemsV1 are the controllers that are mounted below root, and systemd's
// hierarchy of names. Those of the library's that say nothing about a pod
// (net_cls, net_prio, rdma, hugetlb) stay out.
func subsystemsV1(root string) []cgroup1.Subsystem {
	all := []cgroup1.Subsystem{
		cgroup1.NewCpuset(root), cgroup1.NewCpu(root), cgroup1.NewCpuacct(root),
		cgroup1.NewMemory(root, cgroup1.IgnoreModules(absentMemory(root)...)), cgroup1.NewPids(root),
		cgroup1.NewBlkio(root), cgroup1.NewFreezer(root), cgroup1.NewDevices(root),
		cgroup1.NewPerfEvent(root), cgroup1.NewNamed(root, "systemd"),
	}
	return slices.DeleteFunc(all, func(s cgroup1.Subsystem) bool {
		_, err := os.Stat(filepath.Join(root, string(s.Name()), "cgroup.procs"))
		return err != nil
	})
}

// resourcesV1 says l in the library's terms.
func resourcesV1(l Limits) *specs.LinuxResources {
	r := &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: l.Cpus, Mems: l.Mems}}
	if l.CPUQuota != 0 {
		r.CPU.Quota = &l.CPUQuota
	}
	if l.CPUPeriod != 0 {
		r.CPU.Period = &l.CPUPeriod
	}
	if l.CPUShares != 0 {
		r.CPU.Shares = &l.CPUShares
	}
	if l.MemoryBytes != 0 {
		r.Memory = &specs.LinuxMemory{Limit: &l.MemoryBytes}
	}
	if l.Pids != 0 {
		r.Pids = &specs.LinuxPids{Limit: &l.Pids}
	}
	return r
}

func (h *v1) controllers() []string {
	var names []string
	for name := range h.dirs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (h *v1) absent() []string {
	var dirs []string
	for _, dir := range h.dirs {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func (h *v1) add(pid int) error { return h.group.AddProc(uint64(pid)) }

func (h *v1) update(l Limits) error {
	if err := h.group.Update(resourcesV1(l)); err != nil {
		return err
	}
	if l.Pids >= 0 {
		return nil
	}
	// The library does not lift this limit.
	return os.WriteFile(filepath.Join(h.dirs["pids"], "pids.max"), []byte("max"), 0)
}

// stat leaves out files that the kernel does not offer, but not all of them.
func (h *v1) stat() (Stats, error) {
	if len(h.absent()) == len(h.dirs) {
		return Stats{}, fmt.Errorf("it does not exist: %w", errdefs.ErrNotFound)
	}
	m, err := h.group.Stat(cgroup1.IgnoreNotExist)
	return Stats{V1: m}, err
}

func (h *v1) oomKills() (uint64, error) {
	if _, ok := h.dirs["memory"]; !ok {
		return 0, fmt.Errorf("the host lacks the cgroup controller \"memory\": %w", errdefs.ErrFailedPrecondition)
	}
	s, err := h.stat()
	if err != nil {
		return 0, err
	}
	return s.V1.GetMemoryOomControl().GetOomKill(), nil
}

func (h *v1) remove(ctx context.Context) error { return removeDirs(ctx, h.places()) }

func (h *v1) places() []string {
	var dirs []string
	for _, dir := range h.dirs {
		dirs = append(dirs, dir)
	}
	return dirs
}

// absentMemory names the groups of memory files that the kernel does not offer:
// accounting of swap and of kernel memory are build or boot options. The library
// fails on a file that is missing.
func absentMemory(root string) []string {
	var absent []string
	for _, module := range []string{"memsw", "kmem", "kmem.tcp"} {
		for _, file := range []string{"usage_in_bytes", "max_usage_in_bytes", "failcnt", "limit_in_bytes"} {
			if _, err := os.Stat(filepath.Join(root, "memory", "memory."+module+"."+file)); err != nil {
				absent = append(absent, module)
				break
			}
		}
	}
	return absent
}

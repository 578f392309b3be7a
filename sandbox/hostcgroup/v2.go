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
	"strings"

	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/timeouts"
)

// v2 is a group of cgroup v2: one directory.
type v2 struct {
	group *cgroup2.Manager
	dir   string
	unit  string
	names []string
}

func createV2(root string, where location, l Limits) (*v2, error) {
	h := &v2{dir: filepath.Join(root, where.dir), unit: where.unit}
	offered, err := readControllers(root)
	if err != nil {
		return nil, err
	}
	h.names = slices.DeleteFunc(offered, func(c string) bool { return !slices.Contains(wanted[:], c) && c != "io" })
	if err := enforceable(l, h.names); err != nil {
		return nil, err
	}
	_, err = os.Stat(h.dir)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err := h.create(root, where, l); err != nil {
		if !fresh {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeouts.CgroupTakeBack)
		defer cancel()
		return nil, errors.Join(err, h.remove(ctx))
	}
	return h, nil
}

// create makes the directory and passes the controllers down to it.
func (h *v2) create(root string, where location, l Limits) (err error) {
	resources := resourcesV2(l)
	if where.unit != "" {
		// The library takes the whole name, and "/" as "no parent".
		h.group, err = cgroup2.NewSystemd("/", where.unit, -1, resources)
	} else {
		h.group, err = cgroup2.NewManager(root, where.dir, &cgroup2.Resources{})
	}
	if err != nil {
		return err
	}
	if err := h.group.ToggleControllers(h.names, cgroup2.Enable); err != nil {
		return err
	}
	return h.group.Update(resources)
}

func loadV2(root string, where location) (*v2, error) {
	h := &v2{dir: filepath.Join(root, where.dir), unit: where.unit}
	names, err := readControllers(h.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("it does not exist: %w", errdefs.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	h.names = names
	h.group, err = cgroup2.Load(where.dir, cgroup2.WithMountpoint(root))
	return h, err
}

func readControllers(dir string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(data)), nil
}

// resourcesV2 says l in the library's terms.
func resourcesV2(l Limits) *cgroup2.Resources {
	r := &cgroup2.Resources{CPU: &cgroup2.CPU{Cpus: l.Cpus, Mems: l.Mems}}
	if l.CPUQuota != 0 || l.CPUPeriod != 0 {
		r.CPU.Max = cpuMax(l)
	}
	if l.CPUShares != 0 {
		weight := cgroup2.ConvertCPUSharesToCgroupV2Value(l.CPUShares)
		r.CPU.Weight = &weight
	}
	if l.MemoryBytes != 0 {
		r.Memory = &cgroup2.Memory{Max: &l.MemoryBytes}
	}
	if l.Pids != 0 {
		r.Pids = &cgroup2.Pids{Max: l.Pids}
	}
	return r
}

func cpuMax(l Limits) cgroup2.CPUMax {
	var quota *int64
	var period *uint64
	if l.CPUQuota > 0 {
		quota = &l.CPUQuota
	}
	if l.CPUPeriod != 0 {
		period = &l.CPUPeriod
	}
	return cgroup2.NewCPUMax(quota, period)
}

func (h *v2) controllers() []string { return h.names }

func (h *v2) add(pid int) error { return h.group.AddProc(uint64(pid)) }

func (h *v2) update(l Limits) error { return h.group.Update(resourcesV2(l)) }

func (h *v2) stat() (Stats, error) {
	if _, err := os.Stat(h.dir); errors.Is(err, fs.ErrNotExist) {
		return Stats{}, fmt.Errorf("it does not exist: %w", errdefs.ErrNotFound)
	}
	m, err := h.group.Stat()
	return Stats{V2: m}, err
}

func (h *v2) oomKills() (uint64, error) {
	s, err := h.stat()
	if err != nil {
		return 0, err
	}
	return s.V2.GetMemoryEvents().GetOomKill(), nil
}

func (h *v2) places() []string { return []string{h.dir} }

func (h *v2) remove(ctx context.Context) error {
	if h.unit == "" || h.group == nil {
		return removeDirs(ctx, []string{h.dir})
	}
	if _, err := evacuate(h.dir); err != nil {
		return err
	}
	return h.group.DeleteSystemd()
}

// SPDX-License-Identifier: Apache-2.0

package hostcgroup

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/containerd/errdefs"
)

// tree is a directory that looks like a mount of cgroup2, as far as files go.
// The kernel's part, making files in new directories, the test does itself, so
// that the group exists before createV2 takes it over.
func tree(t *testing.T, controllers string) (root string, where location) {
	t.Helper()
	root, where = t.TempDir(), location{dir: "/pods/kata_x"}
	for _, dir := range []string{"", "pods", "pods/kata_x"} {
		dir = filepath.Join(root, dir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{
			"cgroup.controllers": controllers, "cgroup.subtree_control": "", "cgroup.procs": "", "cgroup.type": "domain",
			"memory.max": "max", "cpu.max": "max 100000", "cpu.weight": "100", "pids.max": "max", "cpuset.cpus": "", "cpuset.mems": "",
			"memory.events": "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\n", "memory.stat": "anon 1\n", "memory.current": "7\n",
			"cpu.stat": "usage_usec 5\n", "pids.current": "1\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root, where
}

func content(t *testing.T, parts ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

func TestCreateV2(t *testing.T) {
	root, where := tree(t, "cpuset cpu io memory hugetlb pids")
	h, err := createV2(root, where, Limits{CPUQuota: 50000, CPUPeriod: 100000, CPUShares: 2, MemoryBytes: 64 << 20, Cpus: "0-1", Pids: 100})
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"cpu.max": "50000 100000", "cpu.weight": "1", "memory.max": "67108864", "cpuset.cpus": "0-1", "pids.max": "100", "cpuset.mems": "",
	} {
		if got := content(t, h.dir, file); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
	for _, dir := range []string{root, filepath.Join(root, "pods")} {
		if got := content(t, dir, "cgroup.subtree_control"); got != "+cpuset +cpu +io +memory +pids" {
			t.Errorf("%s passes %q on", dir, got)
		}
	}
	if got := content(t, h.dir, "cgroup.subtree_control"); got != "" {
		t.Errorf("the group itself passes %q on, and could hold no process", got)
	}
	if err := h.add(42); err != nil || content(t, h.dir, "cgroup.procs") != "42" {
		t.Errorf("adding a process: error %v", err)
	}
	if err := h.update(Limits{CPUQuota: -1, MemoryBytes: -1, Pids: -1}); err != nil {
		t.Fatal(err)
	}
	if cpu, pids := content(t, h.dir, "cpu.max"), content(t, h.dir, "pids.max"); cpu != "max 100000" || pids != "max" {
		t.Errorf("after the update cpu.max is %q, pids.max %q", cpu, pids)
	}
}

func TestV2WithoutAController(t *testing.T) {
	root, where := tree(t, "cpu pids")
	if _, err := createV2(root, where, Limits{MemoryBytes: 1 << 20}); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), `"memory"`) {
		t.Errorf("error %v", err)
	}
	h, err := createV2(root, where, Limits{Pids: 5})
	if err != nil {
		t.Fatal(err)
	}
	if missing := (&Group{h: h}).Missing(); !slices.Equal(missing, []string{"cpuset", "memory"}) {
		t.Errorf("missing are %v", missing)
	}
}

func TestV2StatAndLoad(t *testing.T) {
	root, where := tree(t, "cpu memory pids")
	h, err := loadV2(root, where)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := h.oomKills(); err != nil || n != 1 {
		t.Errorf("%d kills, error %v", n, err)
	}
	s, err := h.stat()
	if err != nil || s.V1 != nil || s.V2.GetMemory().GetUsage() != 7 || s.V2.GetPids().GetCurrent() != 1 {
		t.Errorf("got %+v, error %v", s, err)
	}
	if _, err := loadV2(root, location{dir: "/absent"}); !errdefs.IsNotFound(err) {
		t.Errorf("an absent group: %v", err)
	}
}

func TestResourcesV2(t *testing.T) {
	weight, memory := uint64(10000), int64(-1)
	for _, c := range []struct {
		l    Limits
		want *cgroup2.Resources
	}{
		{Limits{}, &cgroup2.Resources{CPU: &cgroup2.CPU{}}},
		{Limits{CPUQuota: 5}, &cgroup2.Resources{CPU: &cgroup2.CPU{Max: "5 100000"}}},
		{Limits{CPUPeriod: 5}, &cgroup2.Resources{CPU: &cgroup2.CPU{Max: "max 5"}}},
		{Limits{CPUQuota: -1, CPUPeriod: 5}, &cgroup2.Resources{CPU: &cgroup2.CPU{Max: "max 5"}}},
		{Limits{CPUShares: 262144}, &cgroup2.Resources{CPU: &cgroup2.CPU{Weight: &weight}}},
		{Limits{MemoryBytes: -1}, &cgroup2.Resources{CPU: &cgroup2.CPU{}, Memory: &cgroup2.Memory{Max: &memory}}},
		{Limits{Pids: -1}, &cgroup2.Resources{CPU: &cgroup2.CPU{}, Pids: &cgroup2.Pids{Max: -1}}},
	} {
		if got := resourcesV2(c.l); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: got %+v, want %+v", c.l, got, c.want)
		}
	}
}

func TestMoveUpPassesFullAncestors(t *testing.T) {
	root, where := tree(t, "")
	dir := filepath.Join(root, where.dir)
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("41\n42\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if moved, err := evacuate(dir); err != nil || !slices.Equal(moved, []string{"41", "42"}) {
		t.Errorf("moved %v, error %v", moved, err)
	}
	if got := content(t, filepath.Dir(dir), "cgroup.procs"); got != "42" {
		t.Errorf("the parent holds %q", got)
	}
}

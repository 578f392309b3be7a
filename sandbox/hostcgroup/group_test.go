// SPDX-License-Identifier: Apache-2.0

package hostcgroup

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/errdefs"
)

// parent is a private group for one test; it is removed with all below it.
func parent(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("cgroups need root")
	}
	if cgroups.Mode() == cgroups.Unavailable {
		t.Skip("this host mounts no cgroups")
	}
	path := fmt.Sprintf("/katapod-test-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "_"))
	group, err := Create(path, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := group.Delete(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return path
}

func create(t *testing.T, l Limits) *Group {
	t.Helper()
	g, err := Create(parent(t)+"/kata_id", l)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// sleeper starts a process with a child of its own.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return c
}

// dirs are the directories of g.
func (g *Group) testDirs() []string {
	switch h := g.h.(type) {
	case *v1:
		var dirs []string
		for _, dir := range h.dirs {
			dirs = append(dirs, dir)
		}
		return dirs
	case *v2:
		return []string{h.dir}
	}
	return nil
}

func TestProcessJoinsEveryController(t *testing.T) {
	g := create(t, Limits{})
	c := sleeper(t)
	if err := g.Add(c.Process.Pid); err != nil {
		t.Fatal(err)
	}
	dirs := g.testDirs()
	if len(dirs) == 0 {
		t.Fatal("the group has no directories")
	}
	for _, dir := range dirs {
		data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil || !slices.Contains(strings.Fields(string(data)), strconv.Itoa(c.Process.Pid)) {
			t.Errorf("%s holds %q, error %v", dir, data, err)
		}
	}
	t.Logf("controllers %v, missing %v", g.h.controllers(), g.Missing())
}

func TestAddingAProcessThatIsGone(t *testing.T) {
	g := create(t, Limits{})
	c := sleeper(t)
	_ = c.Process.Kill()
	_ = c.Wait()
	if err := g.Add(c.Process.Pid); err == nil || !strings.Contains(err.Error(), g.Path()) {
		t.Errorf("error %v", err)
	}
}

// limitsOnDisk reads back what the kernel took.
func limitsOnDisk(t *testing.T, g *Group) map[string]string {
	t.Helper()
	files := map[string]string{"quota": "cpu/cpu.cfs_quota_us", "period": "cpu/cpu.cfs_period_us", "shares": "cpu/cpu.shares", "memory": "memory/memory.limit_in_bytes", "pids": "pids/pids.max", "cpus": "cpuset/cpuset.cpus"}
	got := map[string]string{}
	h, ok := g.h.(*v1)
	if !ok {
		t.Skip("this check reads files of cgroup v1, and the host has v2")
	}
	for name, file := range files {
		controller, base, _ := strings.Cut(file, "/")
		data, err := os.ReadFile(filepath.Join(h.dirs[controller], base))
		if err != nil {
			t.Fatal(err)
		}
		got[name] = strings.TrimSpace(string(data))
	}
	return got
}

func TestLimitsV1(t *testing.T) {
	g := create(t, Limits{CPUQuota: 50000, CPUPeriod: 100000, CPUShares: 512, MemoryBytes: 64 << 20, Cpus: "0", Pids: 100})
	want := map[string]string{"quota": "50000", "period": "100000", "shares": "512", "memory": "67108864", "pids": "100", "cpus": "0"}
	for name, value := range limitsOnDisk(t, g) {
		if value != want[name] {
			t.Errorf("%s is %s, want %s", name, value, want[name])
		}
	}
	if err := g.Update(Limits{CPUQuota: -1, MemoryBytes: 128 << 20, Pids: -1}); err != nil {
		t.Fatal(err)
	}
	want["quota"], want["memory"], want["pids"] = "-1", "134217728", "max"
	for name, value := range limitsOnDisk(t, g) {
		if value != want[name] {
			t.Errorf("after the update %s is %s, want %s", name, value, want[name])
		}
	}
}

// TestLimitsV2 reads what the kernel has made of the limits.
func TestLimitsV2(t *testing.T) {
	if cgroups.Mode() != cgroups.Unified {
		t.Skip("this host has cgroup v1; make nested has v2")
	}
	g := create(t, Limits{CPUQuota: 50000, CPUPeriod: 100000, CPUShares: 2, MemoryBytes: 64 << 20, Cpus: "0", Pids: 100})
	check := func(when string, want map[string]string) {
		t.Helper()
		for name, value := range want {
			if got := content(t, g.testDirs()[0], name); got != value {
				t.Errorf("%s %s is %q, want %q", when, name, got, value)
			}
		}
	}
	check("at first", map[string]string{
		"cpu.max": "50000 100000", "cpu.weight": "1", "memory.max": "67108864", "cpuset.cpus": "0", "pids.max": "100",
	})
	if err := g.Update(Limits{CPUQuota: -1, MemoryBytes: 128 << 20, Pids: -1}); err != nil {
		t.Fatal(err)
	}
	check("after the update", map[string]string{"cpu.max": "max 100000", "memory.max": "134217728", "pids.max": "max"})
}

func TestStat(t *testing.T) {
	g := create(t, Limits{MemoryBytes: 64 << 20})
	if err := g.Add(sleeper(t).Process.Pid); err != nil {
		t.Fatal(err)
	}
	s, err := g.Stat()
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case (s.V1 == nil) == (s.V2 == nil):
		t.Errorf("stats are %+v, want one version", s)
	case s.V1 != nil && s.V1.GetMemory().GetUsage().GetLimit() != 64<<20, s.V2 != nil && s.V2.GetMemory().GetUsageLimit() != 64<<20:
		t.Errorf("the limit is not in %+v", s)
	case s.V1 != nil && s.V1.GetPids().GetCurrent() != 1, s.V2 != nil && s.V2.GetPids().GetCurrent() != 1:
		t.Errorf("one process is not in %+v", s)
	}
}

func TestOOMKills(t *testing.T) {
	g := create(t, Limits{MemoryBytes: 16 << 20})
	if n, err := g.OOMKills(); err != nil || n != 0 {
		t.Fatalf("%d kills at first, error %v", n, err)
	}
	// tail keeps its last line, which has no end here.
	c := exec.Command("sh", "-c", "read go; exec tail -n 1 /dev/zero")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if err := g.Add(c.Process.Pid); err != nil {
		t.Fatal(err)
	}
	_, _ = in.Write([]byte("go\n"))
	if err := c.Wait(); err == nil {
		t.Fatal("the process was not killed")
	}
	if n, err := g.OOMKills(); err != nil || n == 0 {
		t.Errorf("%d kills, error %v", n, err)
	}
}

func TestDeleteMovesProcessesAndIsIdempotent(t *testing.T) {
	g := create(t, Limits{})
	c := sleeper(t)
	if err := g.Add(c.Process.Pid); err != nil {
		t.Fatal(err)
	}
	addBelow(t, g, sleeper(t).Process.Pid)
	for range 2 {
		if err := g.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range g.testDirs() {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if _, err := Load(g.Path()); !errdefs.IsNotFound(err) {
		t.Errorf("loading a deleted group: %v", err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Errorf("the process is gone: %v", err)
	}
}

// The processes of a group end, those below it too; one that asks for it does not.
func TestKill(t *testing.T) {
	g := create(t, Limits{})
	in, below, outside := sleeper(t), sleeper(t), sleeper(t)
	addBelow(t, g, below.Process.Pid)
	if err := g.Add(in.Process.Pid); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := g.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*exec.Cmd{in, below} {
		if err := c.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("a process of the group ended by itself: %v", err)
		}
	}
	if err := outside.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a process of no group: %v", err)
	}
}

// addBelow puts a process into a new group below g. With cgroup v2, g may not
// pass controllers on, since it holds processes itself.
func addBelow(t *testing.T, g *Group, pid int) {
	t.Helper()
	if cgroups.Mode() == cgroups.Unified {
		dir := filepath.Join(g.testDirs()[0], "below")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			t.Fatal(err)
		}
		return
	}
	below, err := Create(g.Path()+"/below", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := below.Add(pid); err != nil {
		t.Fatal(err)
	}
}

// TestDeleteWhileProcessesEnd is the race that EBUSY comes from.
func TestDeleteWhileProcessesEnd(t *testing.T) {
	g := create(t, Limits{})
	var all []*exec.Cmd
	for range 20 {
		c := sleeper(t)
		if err := g.Add(c.Process.Pid); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		_ = c.Process.Kill()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := g.Delete(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestLoadSeesTheSameGroup(t *testing.T) {
	g := create(t, Limits{MemoryBytes: 64 << 20})
	again, err := Load(g.Path())
	if err != nil {
		t.Fatal(err)
	}
	if again.Path() != g.Path() || !slices.Equal(again.h.controllers(), g.h.controllers()) {
		t.Errorf("loaded %s with %v, want %s with %v", again.Path(), again.h.controllers(), g.Path(), g.h.controllers())
	}
	if err := again.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Stat(); err == nil {
		t.Error("a deleted group has metrics")
	}
}

func TestCreateFailsWhole(t *testing.T) {
	path := parent(t) + "/kata_bad"
	if _, err := Create(path, Limits{Cpus: "4000-5000"}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if _, err := Load(path); !errdefs.IsNotFound(err) {
		t.Errorf("the failed group: %v", err)
	}
	if _, err := Create("relative", Limits{}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a bad path: %v", err)
	}
}

func TestEnforceable(t *testing.T) {
	all := wanted[:]
	for _, c := range []struct {
		l       Limits
		missing string
	}{
		{Limits{}, ""}, {Limits{CPUQuota: 1}, "cpu"}, {Limits{CPUPeriod: 1}, "cpu"}, {Limits{CPUShares: 2}, "cpu"},
		{Limits{MemoryBytes: 1}, "memory"}, {Limits{Cpus: "0"}, "cpuset"}, {Limits{Mems: "0"}, "cpuset"}, {Limits{Pids: 1}, "pids"},
	} {
		if err := enforceable(c.l, all); err != nil {
			t.Errorf("%+v with all controllers: %v", c.l, err)
		}
		rest := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == c.missing })
		err := enforceable(c.l, rest)
		if c.missing == "" && err == nil {
			continue
		}
		if !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), strconv.Quote(c.missing)) {
			t.Errorf("%+v without %s: error %v", c.l, c.missing, err)
		}
	}
}

// lacking is a hierarchy without controllers.
type lacking struct{ hierarchy }

func (lacking) controllers() []string { return []string{"cpu"} }

func TestMissingControllers(t *testing.T) {
	g := &Group{path: "/x", h: lacking{}}
	if got := g.Missing(); !slices.Equal(got, []string{"cpuset", "memory", "pids"}) {
		t.Errorf("missing are %v", got)
	}
	if err := g.Update(Limits{MemoryBytes: 1}); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("error %v", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// checkLoad has a process of the container count for a while, and compares what
// the container used with what the shell says of itself. What the pod used is in
// the form of the host's cgroups. What a busy machine adds to one measurement is not
// in the next.
func checkLoad(t *testing.T, pod *Sandbox, c *Container) {
	t.Helper()
	const most = 5
	for try := 1; ; try++ {
		container, process, host := measureLoad(t, pod, c)
		if host <= 0 {
			t.Errorf("the pod used %v on the host meanwhile", time.Duration(host))
		}
		t.Logf("the container used %v, its process %v", time.Duration(container), time.Duration(process))
		if math.Abs(container-process) <= process/10 {
			return
		}
		if try == most {
			t.Fatalf("the container used %v by its counters and %v by the process's own", time.Duration(container), time.Duration(process))
		}
	}
}

// measureLoad is what the container, a process in it and the pod on the host used, in ns.
func measureLoad(t *testing.T, pod *Sandbox, c *Container) (container, process, host float64) {
	t.Helper()
	used := func() float64 {
		s, err := c.Stats(background)
		if err != nil {
			t.Fatal(err)
		}
		return float64(s.GetCgroupStats().GetCpuStats().GetCpuUsage().GetTotalUsage())
	}
	containerBefore, hostBefore := used(), hostUsage(t, pod)
	p, err := c.Exec(background, ExecOptions{ID: "load", Stdout: true, Process: &specs.Process{
		Args: []string{"sh", "-c", "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done; cat /proc/$$/schedstat"}, Cwd: "/", Env: []string{"PATH=/bin"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(background); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(p.Stdout())
	if err != nil {
		t.Fatal(err)
	}
	if code := wait(t, p); code != 0 {
		t.Errorf("the load exited with %d", code)
	}
	container, host = used()-containerBefore, hostUsage(t, pod)-hostBefore
	if err := c.DeleteExec("load"); err != nil {
		t.Fatal(err)
	}
	return container, processTime(t, string(text)), host
}

// processTime reads /proc/PID/schedstat, whose first number is the time on a CPU in
// ns.
func processTime(t *testing.T, text string) float64 {
	t.Helper()
	first, _, _ := strings.Cut(text, " ")
	n, err := strconv.ParseFloat(first, 64)
	if err != nil || n < 1e8 {
		t.Fatalf("the process says of itself %q: %v", text, err)
	}
	return n
}

// hostUsage is the CPU time of the pod's processes on the host in ns, by the
// version of cgroups that the host has.
func hostUsage(t *testing.T, pod *Sandbox) float64 {
	t.Helper()
	s, err := pod.Stats(background)
	switch {
	case err != nil:
		t.Fatal(err)
	case s.V1 != nil:
		if s.V1.GetMemory().GetUsage().GetUsage() < 16<<20 {
			t.Errorf("the pod takes %d bytes on the host", s.V1.GetMemory().GetUsage().GetUsage())
		}
		return float64(s.V1.GetCPU().GetUsage().GetTotal())
	case s.V2 != nil:
		if s.V2.GetMemory().GetUsage() < 16<<20 {
			t.Errorf("the pod takes %d bytes on the host", s.V2.GetMemory().GetUsage())
		}
		return float64(s.V2.GetCPU().GetUsageUsec()) * 1000
	}
	t.Fatal("the pod's cgroup reports nothing")
	return 0
}

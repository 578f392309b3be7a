// SPDX-License-Identifier: Apache-2.0

package container

import (
	"os/exec"
	"strconv"
	"testing"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// sleeper starts a process from the calling goroutine and returns its PID.
func sleeper(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

func batch() *specs.Process {
	return &specs.Process{
		Scheduler:  &specs.Scheduler{Policy: specs.SchedBatch, Nice: 5},
		IOPriority: &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_IDLE, Priority: 3},
	}
}

// wantBatch looks at a process; 0 is the calling thread.
func wantBatch(t *testing.T, what string, pid int, want bool) {
	t.Helper()
	attr, err := unix.SchedGetAttr(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	io, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioWhoProcess, uintptr(pid), 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	if got := attr.Policy == 3 && attr.Nice == 5 && io == 3<<ioprioClassShift|3; got != want {
		t.Errorf("%s: policy %d, nice %d, io priority %#x; as asked: %v, want %v", what, attr.Policy, attr.Nice, io, got, want)
	}
}

func TestScheduleOfAProcess(t *testing.T) {
	pid := sleeper(t)
	if err := schedule(pid, &specs.Process{}); err != nil {
		t.Fatal(err)
	}
	wantBatch(t, "nothing is asked", pid, false)
	if err := schedule(pid, batch()); err != nil {
		t.Fatal(err)
	}
	wantBatch(t, "a process", pid, true)
}

func TestSchedulingIsInherited(t *testing.T) {
	p, one := batch(), firstCPU(t)
	p.ExecCPUAffinity = &specs.CPUAffinity{Initial: "0-1023", Final: strconv.Itoa(one)}
	var pid int
	if err := withScheduling(p, func() error { pid = sleeper(t); return nil }); err != nil {
		t.Fatal(err)
	}
	wantBatch(t, "a child", pid, true)
	var cpus unix.CPUSet
	if err := unix.SchedGetaffinity(pid, &cpus); err != nil || cpus.Count() != 1 || !cpus.IsSet(one) {
		t.Errorf("a child may run on %v, error %v", cpus, err)
	}
	wantBatch(t, "the test", 0, false)
	if err := withScheduling(&specs.Process{}, func() error { return unix.EBUSY }); err != unix.EBUSY {
		t.Errorf("error %v, want that of the function", err)
	}
}

// firstCPU is one that the test may run on.
func firstCPU(t *testing.T) int {
	t.Helper()
	var cpus unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cpus); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !cpus.IsSet(cpu) {
		cpu++
	}
	return cpu
}

func TestSchedulingThatIsNone(t *testing.T) {
	for name, c := range map[string]struct {
		p  specs.Process
		is func(error) bool
	}{
		"a policy":          {specs.Process{Scheduler: &specs.Scheduler{Policy: "SCHED_FAST"}}, errdefs.IsInvalidArgument},
		"a flag":            {specs.Process{Scheduler: &specs.Scheduler{Policy: specs.SchedOther, Flags: []specs.LinuxSchedulerFlag{"SCHED_FLAG_X"}}}, errdefs.IsInvalidArgument},
		"a class":           {specs.Process{IOPriority: &specs.LinuxIOPriority{Class: "IOPRIO_CLASS_X"}}, errdefs.IsInvalidArgument},
		"a level":           {specs.Process{IOPriority: &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 8}}, errdefs.IsInvalidArgument},
		"a list of CPUs":    {specs.Process{ExecCPUAffinity: &specs.CPUAffinity{Final: "0-"}}, errdefs.IsInvalidArgument},
		"a deadline":        {specs.Process{Scheduler: &specs.Scheduler{Policy: specs.SchedDeadline}}, errdefs.IsNotImplemented},
		"a reset on a fork": {specs.Process{Scheduler: &specs.Scheduler{Policy: specs.SchedRR, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}}, errdefs.IsNotImplemented},
	} {
		ran := false
		if err := withScheduling(&c.p, func() error { ran = true; return nil }); !c.is(err) || ran {
			t.Errorf("%s: error %v, started %v", name, err, ran)
		}
	}
}

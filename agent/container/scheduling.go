// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/thread"
)

// crun 1.8 leaves process.scheduler, ioPriority and execCPUAffinity out. The
// first process gets them while it stands before its program; one that exec adds
// inherits them from the thread that starts crun.

// schedule gives a process its scheduling; 0 is the calling thread.
func schedule(pid int, p *specs.Process) error {
	if p.Scheduler != nil {
		attr, err := schedAttr(p.Scheduler)
		if err != nil {
			return err
		}
		if err := unix.SchedSetAttr(pid, attr, 0); err != nil {
			return fmt.Errorf("set process.scheduler (%s): %w", p.Scheduler.Policy, err)
		}
	}
	if p.IOPriority == nil {
		return nil
	}
	return setIOPriority(pid, p.IOPriority)
}

// withScheduling calls start so that a process which it starts, from the
// goroutine that it is called on, has the scheduling of p.
func withScheduling(p *specs.Process, start func() error) error {
	if p.Scheduler == nil && p.IOPriority == nil && p.ExecCPUAffinity == nil {
		return start()
	}
	if s := p.Scheduler; s != nil && (s.Policy == specs.SchedDeadline || slices.Contains(s.Flags, specs.SchedFlagResetOnFork)) {
		return fmt.Errorf("process.scheduler of an exec: %s with flags %v is not inherited by a process's children, "+
			"and crun is between the agent and the exec; use it for the container's first process: %w", s.Policy, s.Flags, errdefs.ErrNotImplemented)
	}
	return thread.Run(func() error {
		if err := setAffinity(p.ExecCPUAffinity); err != nil {
			return err
		}
		if err := schedule(0, p); err != nil {
			return err
		}
		return start()
	})
}

// schedPolicies and schedFlags are of linux/sched.h.
var (
	schedPolicies = map[specs.LinuxSchedulerPolicy]uint32{
		specs.SchedOther: 0, specs.SchedFIFO: 1, specs.SchedRR: 2, specs.SchedBatch: 3, specs.SchedISO: 4, specs.SchedIdle: 5, specs.SchedDeadline: 6,
	}
	schedFlags = map[specs.LinuxSchedulerFlag]uint64{
		specs.SchedFlagResetOnFork: 0x01, specs.SchedFlagReclaim: 0x02, specs.SchedFlagDLOverrun: 0x04, specs.SchedFlagKeepPolicy: 0x08,
		specs.SchedFlagKeepParams: 0x10, specs.SchedFlagUtilClampMin: 0x20, specs.SchedFlagUtilClampMax: 0x40,
	}
)

func schedAttr(s *specs.Scheduler) (*unix.SchedAttr, error) {
	policy, ok := schedPolicies[s.Policy]
	if !ok {
		return nil, fmt.Errorf("process.scheduler.policy %q is none of Linux: %w", s.Policy, errdefs.ErrInvalidArgument)
	}
	attr := &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: policy, Nice: s.Nice, Priority: uint32(s.Priority),
		Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period,
	}
	for _, name := range s.Flags {
		flag, ok := schedFlags[name]
		if !ok {
			return nil, fmt.Errorf("process.scheduler.flags: %q is none of Linux: %w", name, errdefs.ErrInvalidArgument)
		}
		attr.Flags |= flag
	}
	return attr, nil
}

// ioClasses are of linux/ioprio.h.
var ioClasses = map[specs.IOPriorityClass]int{specs.IOPRIO_CLASS_RT: 1, specs.IOPRIO_CLASS_BE: 2, specs.IOPRIO_CLASS_IDLE: 3}

const (
	ioprioWhoProcess = 1
	ioprioClassShift = 13
	ioprioLevels     = 8
)

func setIOPriority(pid int, p *specs.LinuxIOPriority) error {
	class, ok := ioClasses[p.Class]
	if !ok || p.Priority < 0 || p.Priority >= ioprioLevels {
		return fmt.Errorf("process.ioPriority: class %q with priority %d is none of Linux: %w", p.Class, p.Priority, errdefs.ErrInvalidArgument)
	}
	value := class<<ioprioClassShift | p.Priority
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, uintptr(pid), uintptr(value)); errno != 0 {
		return fmt.Errorf("set process.ioPriority: %w", errno)
	}
	return nil
}

// setAffinity binds the calling thread to the CPUs that an exec shall end on.
// The cgroup that it is moved to only narrows them.
func setAffinity(a *specs.CPUAffinity) error {
	if a == nil {
		return nil
	}
	list := a.Final
	if list == "" {
		list = a.Initial
	}
	set, err := cpuSet(list)
	if err != nil {
		return fmt.Errorf("process.execCPUAffinity %q: %w", list, err)
	}
	if err := unix.SchedSetaffinity(0, set); err != nil {
		return fmt.Errorf("set process.execCPUAffinity %q: %w", list, err)
	}
	return nil
}

// cpuSet reads a list such as "0-2,7".
func cpuSet(list string) (*unix.CPUSet, error) {
	set := new(unix.CPUSet)
	for part := range strings.SplitSeq(list, ",") {
		a, b, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			b = a
		}
		first, err := strconv.ParseUint(a, 10, 10)
		last, err2 := strconv.ParseUint(b, 10, 10)
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("%w: %w", err, errdefs.ErrInvalidArgument)
		}
		for cpu := first; cpu <= last; cpu++ {
			set.Set(int(cpu))
		}
	}
	return set, nil
}

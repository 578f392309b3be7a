// SPDX-License-Identifier: Apache-2.0

package hypervisortest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/transport"
)

func startAndStop(t *testing.T, d Driver) {
	var pids []int
	vm := newVM(t, d, func(c *hypervisor.Config) {
		c.Spawned = func(pid int) error { pids = append(pids, pid); return nil }
	})
	if pid := vm.Describe().PID; pid != 0 {
		t.Errorf("process %d before the start", pid)
	}
	if err := vm.Start(short(t)); err != nil {
		t.Fatalf("start: %v", err)
	}
	mustEcho(t, vm)
	describe(t, vm, pids)
	select {
	case <-vm.Done():
		t.Fatalf("the VM ended: %+v", vm.Exit())
	default:
	}
	var stops sync.WaitGroup
	for range 3 {
		stops.Go(func() {
			if err := vm.Stop(short(t)); err != nil {
				t.Errorf("stop: %v", err)
			}
		})
	}
	stops.Wait()
	mustEnd(t, vm)
	if e := vm.Exit(); e.Cause != nil || e.At.IsZero() {
		t.Errorf("exit after a stop: %+v, want a time and no cause", e)
	}
	gone(t, pids)
	isError(t, "start after stop", vm.Start(short(t)), errdefs.ErrFailedPrecondition)
}

func describe(t *testing.T, vm hypervisor.VM, pids []int) {
	t.Helper()
	got := vm.Describe()
	if got.VMM == "" || got.Version == "" || got.VCPUs != 1 || got.MemoryMiB != 128 || !slices.Contains(pids, got.PID) {
		t.Errorf("description %+v of processes %v", got, pids)
	}
	if got.Accelerator != "kvm" && got.Accelerator != "tcg" {
		t.Errorf("accelerator %q", got.Accelerator)
	}
}

func stopBeforeStart(t *testing.T, d Driver) {
	vm := newVM(t, d, nil)
	for range 2 {
		if err := vm.Stop(short(t)); err != nil {
			t.Fatalf("stop: %v", err)
		}
	}
	mustEnd(t, vm)
	if e := vm.Exit(); e.Cause != nil {
		t.Errorf("cause %v", e.Cause)
	}
	isError(t, "start after stop", vm.Start(short(t)), errdefs.ErrFailedPrecondition)
	if c, err := vm.Dialer().Dial(short(t), transport.PortAgent); err == nil {
		c.Close()
		t.Error("dialled a stopped VM")
	}
}

// stopDuringStart stops from within Spawned, when the start is half done.
func stopDuringStart(t *testing.T, d Driver) {
	var vm hypervisor.VM
	var pids []int
	stopped := make(chan error, 1)
	asked := make(chan struct{})
	vm = newVM(t, d, func(c *hypervisor.Config) {
		c.Spawned = func(pid int) error {
			pids = append(pids, pid)
			go func() {
				close(asked)
				stopped <- vm.Stop(short(t))
			}()
			<-asked
			return nil
		}
	})
	// The stop may come in before or after the VM runs; it must win.
	_ = vm.Start(short(t))
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	mustEnd(t, vm)
	if e := vm.Exit(); e.Cause != nil {
		t.Errorf("cause %v", e.Cause)
	}
	gone(t, pids)
}

func startTwice(t *testing.T, d Driver) {
	vm := started(t, d)
	isError(t, "second start", vm.Start(short(t)), errdefs.ErrFailedPrecondition)
	select {
	case <-vm.Done():
		t.Errorf("a second start ended the VM: %+v", vm.Exit())
	default:
	}
}

func useBeforeStart(t *testing.T, d Driver) {
	vm := newVM(t, d, nil)
	if p, err := hypervisor.AsDiskPlugger(vm); err == nil {
		_, err := p.PlugDisk(short(t), disk(t, "d"))
		isError(t, "plug a disk before the start", err, errdefs.ErrFailedPrecondition)
		isError(t, "unplug a disk before the start", p.UnplugDisk(short(t), "d"), errdefs.ErrFailedPrecondition)
	}
	if p, err := hypervisor.AsPauser(vm); err == nil {
		isError(t, "pause before the start", p.Pause(short(t)), errdefs.ErrFailedPrecondition)
	}
}

func death(t *testing.T, d Driver) {
	vm := up(t, d)
	conn, err := vm.Dialer().Dial(short(t), transport.PortAgent)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	pid := vm.Describe().PID
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	mustEnd(t, vm)
	if e := vm.Exit(); e.Cause == nil || e.At.IsZero() {
		t.Errorf("exit after a kill: %+v, want a time and a cause", e)
	} else {
		t.Logf("cause: %v", e.Cause)
	}
	gone(t, []int{pid})
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err == nil {
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("read %d bytes from a dead VM", n)
		}
	}
	began := time.Now()
	if c, err := vm.Dialer().Dial(short(t), transport.PortAgent); err == nil {
		c.Close()
		t.Error("dialled a dead VM")
	}
	if p, err := hypervisor.AsDiskPlugger(vm); err == nil {
		if _, err := p.PlugDisk(short(t), disk(t, "d")); err == nil {
			t.Error("plugged a disk into a dead VM")
		}
	}
	if took := time.Since(began); took > patience/2 { // What waits, waits for its context's end.
		t.Errorf("calls waited %v on a dead VM", took)
	}
}

func spawnedError(t *testing.T, d Driver) {
	cause := errors.New("no room in the cgroup")
	var pids []int
	vm := newVM(t, d, func(c *hypervisor.Config) {
		c.Spawned = func(pid int) error { pids = append(pids, pid); return cause }
	})
	isError(t, "start", vm.Start(short(t)), cause)
	if len(pids) == 0 {
		t.Error("no process was reported")
	}
	gone(t, pids)
	mustEnd(t, vm)
	isError(t, "the exit's cause", vm.Exit().Cause, cause)
}

func cancelledStart(t *testing.T, d Driver) {
	ctx, cancel := context.WithCancel(t.Context())
	var pids []int
	vm := newVM(t, d, func(c *hypervisor.Config) {
		c.Spawned = func(pid int) error { pids = append(pids, pid); cancel(); return nil }
	})
	isError(t, "start", vm.Start(ctx), context.Canceled)
	gone(t, pids)
	mustEnd(t, vm)
}

// SPDX-License-Identifier: Apache-2.0

package hypervisortest

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// snapshots saves a VM and runs two clones of it at once.
func snapshots(t *testing.T, d Driver) {
	if _, err := hypervisor.AsSnapshotter(newVM(t, d, nil)); err != nil {
		isError(t, "save", err, errdefs.ErrNotImplemented)
		return
	}
	saved := Save(t, d, func(*hypervisor.Config) {})
	var clones []hypervisor.VM
	for range 2 {
		clones = append(clones, newVM(t, d, func(c *hypervisor.Config) {
			c.From, c.Held = &saved, true
		}))
	}
	var starts sync.WaitGroup
	for _, vm := range clones {
		starts.Go(func() { runClone(t, vm) })
	}
	starts.Wait()
	if t.Failed() {
		return
	}
	if err := clones[0].Stop(short(t)); err != nil {
		t.Fatal(err)
	}
	mustEcho(t, clones[1])
	isError(t, "save a clone", save(t, clones[1]), errdefs.ErrFailedPrecondition)
}

// runClone starts a held clone, plugs what it can and lets it run.
func runClone(t *testing.T, vm hypervisor.VM) {
	if err := vm.Start(short(t)); err != nil {
		t.Errorf("start a clone: %v", err)
		return
	}
	p, err := hypervisor.AsPauser(vm)
	if err != nil {
		t.Error(err)
		return
	}
	if disks, err := hypervisor.AsDiskPlugger(vm); err == nil {
		if _, err := disks.PlugDisk(short(t), disk(t, "held")); err != nil {
			t.Errorf("plug a disk into a held clone: %v", err)
		}
	}
	if err := p.Resume(short(t)); err != nil {
		t.Errorf("let a clone run: %v", err)
		return
	}
	if err := dialEcho(short(t), vm); err != nil {
		t.Errorf("a clone's guest: %v", err)
	}
}

// Save boots a VM whose guest echoes, and saves it into a directory of the
// test's. The VM is gone when it returns.
func Save(t *testing.T, d Driver, change func(*hypervisor.Config)) hypervisor.Snapshot {
	t.Helper()
	dir := t.TempDir()
	saved := hypervisor.Snapshot{Memory: filepath.Join(dir, "memory"), State: filepath.Join(dir, "state")}
	vm := newVM(t, d, func(c *hypervisor.Config) {
		change(c)
		c.SaveTo = &saved
	})
	if err := vm.Start(short(t)); err != nil {
		t.Fatalf("start a VM to be saved: %v", err)
	}
	mustEcho(t, vm)
	if err := save(t, vm); err != nil {
		t.Fatalf("save: %v", err)
	}
	if err := vm.Stop(short(t)); err != nil {
		t.Fatalf("stop the saved VM: %v", err)
	}
	return saved
}

func save(t *testing.T, vm hypervisor.VM) error {
	t.Helper()
	s, err := hypervisor.AsSnapshotter(vm)
	if err != nil {
		return err
	}
	if err := vm.Dialer().Close(); err != nil {
		t.Errorf("close the dialer: %v", err)
	}
	return s.Save(short(t))
}

// held starts a VM that does not run until it is let.
func held(t *testing.T, d Driver) {
	vm := newVM(t, d, func(c *hypervisor.Config) { c.Held = true })
	p, err := hypervisor.AsPauser(vm)
	if err != nil {
		isError(t, "hold", err, errdefs.ErrNotImplemented)
		return
	}
	if err := vm.Start(short(t)); err != nil {
		t.Fatalf("start: %v", err)
	}
	mustTimeOut(t, vm, "while it is held", unusedPort)
	if err := p.Resume(short(t)); err != nil {
		t.Fatalf("let it run: %v", err)
	}
	mustEcho(t, vm)
}

// unsaved is a VM that was made to be saved and was not: nothing is left of it.
func unsaved(t *testing.T, d Driver) {
	dir := t.TempDir()
	saved := hypervisor.Snapshot{Memory: filepath.Join(dir, "memory"), State: filepath.Join(dir, "state")}
	vm := newVM(t, d, func(c *hypervisor.Config) { c.SaveTo = &saved })
	if _, err := hypervisor.AsSnapshotter(vm); err != nil {
		isError(t, "save", err, errdefs.ErrNotImplemented)
		return
	}
	if err := vm.Start(short(t)); err != nil {
		t.Fatalf("start: %v", err)
	}
	if err := vm.Stop(short(t)); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left of a VM that was not saved: %v, %v", left, err)
	}
}

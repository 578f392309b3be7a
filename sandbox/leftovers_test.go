// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/ledger"
)

// leave makes the directory of a pod whose shim is gone, with one cgroup in its
// ledger.
func (f *fixture) leave(dir, cgroup string) {
	f.t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		f.t.Fatal(err)
	}
	book, err := ledger.Open(ledgerIn(dir))
	if err != nil {
		f.t.Fatal(err)
	}
	if err := errors.Join(book.Acquire(cgroupOf(cgroup)), f.host.make("cgroup", cgroup), book.Close()); err != nil {
		f.t.Fatal(err)
	}
}

// aged makes a pod's directory as old as one that the engine has forgotten.
func (f *fixture) aged(dir string) {
	f.t.Helper()
	old := time.Now().Add(-2 * timeouts.LeftoverAge)
	if err := errors.Join(os.Chtimes(ledgerIn(dir), old, old), os.Chtimes(dir, old, old)); err != nil {
		f.t.Fatal(err)
	}
}

// What a stop that timed out left is released by the next pod of the same id, and
// that of a living one is left alone.
func TestANewPodTakesUpWhatItsIDLeft(t *testing.T) {
	f := newFixture(t)
	o := f.pod.Options()
	o.ID = "again"
	d := newDirs(o.Config.Runtime, o.Namespace, o.ID)
	f.leave(d.state, "/left")
	pod, err := New(o, f.host.drivers(f.vm))
	if err != nil {
		t.Fatal(err)
	}
	if left := f.host.left(); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
	_, err = New(o, f.host.drivers(f.vm))
	wantIs(t, "a pod of an id that lives", err, errdefs.ErrAlreadyExists)
	if err := pod.Stop(background); err != nil {
		t.Error(err)
	}
}

// Whatever an engine forgets, the next pod on the node finds, unless somebody may
// still be about to clean up.
func TestStartClearsWhatOthersLeft(t *testing.T) {
	f := newFixture(t)
	all := filepath.Dir(f.pod.dirs.state)
	old, fresh, living := filepath.Join(all, "old@test"), filepath.Join(all, "fresh@test"), filepath.Join(all, "living@test")
	for _, dir := range []string{old, fresh, living} {
		f.leave(dir, "/"+filepath.Base(dir))
	}
	owner, err := ledger.Open(ledgerIn(living))
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(all, "half@test"+goneMark) // a removal that was killed
	if err := os.MkdirAll(half, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{old, living} {
		f.aged(dir)
	}
	f.pod.clearLeftovers(time.Now().Add(-timeouts.LeftoverAge))
	for dir, want := range map[string]bool{old: false, fresh: true, living: true, half: true} {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) == want {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if left := f.host.left(); len(left) != 2 {
		t.Errorf("left are %q", left)
	}
	if err := owner.Close(); err != nil {
		t.Fatal(err)
	}
	f.pod.clearLeftovers(time.Now().Add(time.Hour))
}

// A stop that could not release something is tried again by the next one, and by
// a clean-up as soon as the shim is gone.
func TestWhatAStopLeavesIsReleasedLater(t *testing.T) {
	f := startedFixture(t)
	drivers := f.host.drivers(f.vm)
	remove := drivers.RemoveCgroup
	stuck := errors.New("rmdir: device or resource busy")
	drivers.RemoveCgroup = func(context.Context, string) error { return stuck }
	f.pod.resources.undo = drivers.undoTable()
	for range 2 {
		wantIs(t, "stop", f.pod.Stop(background), stuck)
	}
	wantIs(t, "clean-up while the shim lives", cleanup(background, f.pod.dirs.state, drivers), errdefs.ErrFailedPrecondition)
	// The lock goes with the shim's process, and so does nothing else.
	text, err := os.ReadFile(f.pod.dirs.ledger())
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(t.TempDir(), "pod1")
	if err := errors.Join(os.Mkdir(dead, 0o700), os.WriteFile(ledgerIn(dead), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	wantIs(t, "clean-up while it is stuck", cleanup(background, dead, drivers), stuck)
	drivers.RemoveCgroup = remove
	if err := cleanup(background, dead, drivers); err != nil || len(f.host.left()) > 1 {
		t.Errorf("clean-up: error %v, left are %q", err, f.host.left())
	}
	f.pod.resources.undo = drivers.undoTable()
	if err := f.pod.Stop(background); err != nil {
		t.Errorf("stop once more: %v", err)
	}
}

// The delete action of an engine waits for a pod that clears the same leftovers.
func TestCleanupWaitsForAnother(t *testing.T) {
	f := newFixture(t)
	dir := filepath.Join(t.TempDir(), "pod")
	f.leave(dir, "/left")
	for held := true; held; {
		other, err := ledger.Open(ledgerIn(dir))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		cleaned := make(chan error, 1)
		go func() { cleaned <- awaitCleanup(background, dir, f.host.drivers(f.vm)) }()
		select {
		case err := <-cleaned:
			t.Fatalf("cleaned up a pod whose ledger is held: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		err = leaktest.Receive(t, cleaned)
		// A machine that stood still for as long as it waits gets another try.
		held = errdefs.IsFailedPrecondition(err) && time.Since(began) > timeouts.Lock
		if err != nil && !held {
			t.Error(err)
		}
	}
}

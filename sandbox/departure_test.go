// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"testing"

	"github.com/containerd/errdefs"
)

// departed makes a container whose files all come from disks, and ends it.
func (f *fixture) departed(id string) *Container {
	f.t.Helper()
	c, err := f.pod.CreateContainer(background, diskOptions(f.t, id))
	if err != nil {
		f.t.Fatal(err)
	}
	c.init.exit(0)
	return c
}

// A container that only read is deleted at once; its disks and its id are free once the guest has cleared it away.
func TestDeleteOfAContainerThatOnlyRead(t *testing.T) {
	f := startedFixture(t)
	c := f.departed("c1")
	if n := len(f.vm.Disks()); n != 1 {
		t.Fatalf("%d disks", n)
	}
	if err := c.Delete(background); err != nil {
		t.Fatal(err)
	}
	if _, err := f.pod.Container("c1"); !errdefs.IsNotFound(err) {
		t.Errorf("a container that was deleted: %v", err)
	}
	again, err := f.pod.CreateContainer(background, diskOptions(t, "c1"))
	if err != nil {
		t.Fatalf("another container of its id: %v", err)
	}
	if n := len(f.vm.Disks()); n != 1 || f.calls("RemoveContainer") != 1 {
		t.Errorf("%d disks after %d removals in the guest: the second container did not wait for the first", n, f.calls("RemoveContainer"))
	}
	again.init.exit(0)
	if err := again.Delete(background); err != nil {
		t.Fatal(err)
	}
	f.pod.leaving.waitAll()
	if left := f.vm.Disks(); len(left) != 0 {
		t.Errorf("disks left: %v", left)
	}
}

// The guest's part of a deletion holds nobody up: neither who deletes, nor who stops the pod.
func TestDeleteDoesNotWaitForTheGuest(t *testing.T) {
	f := startedFixture(t)
	c := f.departed("c1")
	hung := f.agent.hangAt("RemoveContainer")
	if err := c.Delete(background); err != nil {
		t.Fatal(err)
	}
	await(t, hung, "RemoveContainer")
	if err := f.pod.Stop(background); err != nil {
		t.Fatal(err)
	}
	if f.agent.called("DestroySandbox") >= 0 {
		t.Error("a guest with nothing to write was asked to write it")
	}
}

// What the guest cannot clear away is no error of who has been answered, and goes with the pod.
func TestDeleteThatFailsInTheGuest(t *testing.T) {
	f := startedFixture(t)
	c := f.departed("c1")
	f.agent.failAt("RemoveContainer", errors.New("busy"))
	if err := c.Delete(background); err != nil {
		t.Fatal(err)
	}
	f.pod.leaving.waitAll()
	if err := f.pod.Stop(background); err != nil {
		t.Fatal(err)
	}
}

// A guest is asked to write before its VM ends if it may have something to write.
func TestStopOfAPodThatWrites(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(f *fixture)
		asks bool
	}{
		{"no container", func(*fixture) {}, false},
		{"a container that reads", func(f *fixture) { f.departed("c1") }, false},
		{"one that was deleted", func(f *fixture) {
			c := f.container("c1", "sleep")
			c.init.exit(0)
			if err := c.Delete(background); err != nil {
				f.t.Fatal(err)
			}
		}, true}, // its share is there still
		{"a container with files of the host", func(f *fixture) { f.container("c1", "sleep") }, true},
		{"a writable disk", func(f *fixture) {
			f.departed("c1").hold(func(context.Context) error { return nil })
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := startedFixture(t)
			c.make(f)
			if err := f.pod.Stop(background); err != nil {
				t.Fatal(err)
			}
			if asked := f.agent.called("DestroySandbox") >= 0; asked != c.asks {
				t.Errorf("the guest was asked to write: %v, want %v", asked, c.asks)
			}
		})
	}
}

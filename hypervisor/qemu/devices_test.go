// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"errors"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/integration/leaktest"
)

func TestSlotsAreReservedAndFreed(t *testing.T) {
	d := newDevices(hypervisor.Config{HotplugSlots: 2, Image: "/i", Disks: []hypervisor.Disk{{ID: "boot"}}})
	a, err := d.reserve("disk-a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.reserve("disk-a"); !errors.Is(err, errdefs.ErrAlreadyExists) {
		t.Errorf("the same id again: %v", err)
	}
	if _, err := d.reserve("disk-boot"); !errors.Is(err, errdefs.ErrAlreadyExists) {
		t.Errorf("the id of a disk at boot: %v", err)
	}
	if _, err := d.find("disk-a"); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("a device that is being plugged: %v", err)
	}
	if _, err := d.find("disk-boot"); !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("a device at boot: %v", err)
	}
	if path := d.complete(a); path != "1e/01" {
		t.Errorf("the first slot is at %s", path)
	}
	b, err := d.reserve("nic-a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.reserve("disk-c"); !errors.Is(err, errdefs.ErrResourceExhausted) {
		t.Errorf("more than there are: %v", err)
	}
	d.free(b)
	c, err := d.reserve("disk-c")
	if err != nil || c.slot != b.slot {
		t.Errorf("the freed slot: %+v, %v", c, err)
	}
	d.free(b) // Late: it must not free the new owner's slot.
	if _, err := d.reserve("disk-d"); !errors.Is(err, errdefs.ErrResourceExhausted) {
		t.Errorf("after a late free: %v", err)
	}
}

func TestDeviceEvents(t *testing.T) {
	d := newDevices(hypervisor.Config{HotplugSlots: 1})
	p, err := d.reserve("disk-a")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		d.refused("disk-a")
		d.refused("other")
		d.deleted("other")
	}
	if len(p.refusals) != 1 {
		t.Errorf("%d refusals", len(p.refusals))
	}
	select {
	case <-p.gone:
		t.Fatal("gone by another's event")
	default:
	}
	for range 2 {
		d.deleted("disk-a")
	}
	leaktest.Receive(t, p.gone)
}

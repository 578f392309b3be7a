// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/hypervisortest"
)

// TestVMIsConfined looks at QEMU's process from outside, as an engine does that goes
// through /proc/<pid>/root.
func TestVMIsConfined(t *testing.T) {
	dir := tempDir(t)
	vm := New(hypervisor.Config{
		ID: "confined", Dir: dir, Binary: hypervisortest.QEMU(t), Kernel: hypervisortest.Kernel(t), User: 1_999_000_001,
		Initrd: hypervisortest.Guest(t, t.TempDir()), VCPUs: 1, MemoryMiB: 128, HotplugSlots: 1, LaterShares: true,
		Disks: []hypervisor.Disk{{ID: "first", Path: file(t, dir, "first", make([]byte, 1<<20))}},
	})
	t.Cleanup(func() { _ = vm.Stop(context.Background()) })
	if err := vm.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask(t, vm, "disks") // All that QEMU opens is open.
	proc := fmt.Sprintf("/proc/%d/", vm.Describe().PID)
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Uid:\t1999000001\t1999000001\t1999000001\t1999000001\n", "Groups:\t \n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n",
		"CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "CapAmb:\t0000000000000000\n",
	} {
		if !strings.Contains(string(status), want) {
			t.Errorf("%q is not in\n%s", want, status)
		}
	}
	for _, path := range []string{"etc/passwd", "etc/shadow", "run", "var", "home", "root", "tmp", "proc", "sys", "bin/sh"} {
		if _, err := os.Lstat(proc + "root/" + path); !os.IsNotExist(err) {
			t.Errorf("QEMU sees /%s (%v)", path, err)
		}
	}
	if err := os.WriteFile(proc+"root/new", nil, 0o600); err == nil {
		t.Error("a file can be made in QEMU's root directory")
	}
	open, err := filepath.Glob(proc + "fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, dir) && !strings.HasSuffix(to, "/first") {
			t.Errorf("QEMU has %s open", to)
		}
	}
}

// TestVMCannotWriteToItsImage has the guest's root write to its disk, and to the share
// itself, and compares. A disk that it may write to takes the same.
func TestVMCannotWriteToItsImage(t *testing.T) {
	dir := tempDir(t)
	image, own := erofsImage(t), file(t, dir, "own", make([]byte, 1<<20))
	before := digest(t, image)
	vm := New(hypervisor.Config{
		ID: "image", Dir: dir, Binary: hypervisortest.QEMU(t), Kernel: hypervisortest.Kernel(t),
		Image: image, ImageType: "erofs", VCPUs: 1, MemoryMiB: 256, Shares: []hypervisor.Share{share(t, dir)},
		Disks: []hypervisor.Disk{{ID: "own", Path: own}},
	})
	t.Cleanup(func() { _ = vm.Stop(context.Background()) })
	if err := vm.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, vm, "cat /sys/class/block/vda/ro"); got != "1\n" {
		t.Errorf("the guest takes its disk for one it may write to: %q", got)
	}
	if got := ask(t, vm, "write /dev/vda rubbish"); got == "" {
		t.Error("the guest wrote to its disk")
	}
	if got := ask(t, vm, "write /dev/vdb rubbish"); got != "" {
		t.Errorf("the guest writes to a disk of its own: %q", got)
	}
	if got := ask(t, vm, "mount kataShared virtiofs /mnt") + ask(t, vm, "write /mnt/evil x"); !strings.Contains(got, "read-only") {
		t.Errorf("making a file in the share itself: %q", got)
	}
	if got := ask(t, vm, "cat /mnt/hello"); got != "from the host" {
		t.Errorf("the share: %q", got)
	}
	if err := vm.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if digest(t, image) != before {
		t.Error("the image was changed")
	}
	if text, err := os.ReadFile(own); err != nil || !strings.HasPrefix(string(text), "rubbish") {
		t.Errorf("the guest's own disk begins with %.10q, error %v", text, err)
	}
}

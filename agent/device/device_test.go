// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
)

func TestParsePCIPath(t *testing.T) {
	for text, want := range map[string]string{"02/00": "02/00", "2": "02", "1f.7/03": "1f.7/03", "80/02/03": "80/02/03", "00/02/03": "02/03"} {
		p, err := ParsePCIPath(text)
		if err != nil || p.String() != want {
			t.Errorf("%s: %s, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "20", "02/", "/02", "02.8", "xx", "100/01/02", "02/00/"} {
		if p, err := ParsePCIPath(text); !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%q: %s, %v", text, p, err)
		}
	}
	if p, err := PCIPathOf([]uint32{2, 0}); err != nil || p.String() != "02/00" {
		t.Errorf("%s, %v", p, err)
	}
	for _, slots := range [][]uint32{nil, {32}} {
		if _, err := PCIPathOf(slots); !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%v: %v", slots, err)
		}
	}
}

func newFinder(t *testing.T) *Finder {
	t.Helper()
	hub, err := NewHub()
	if err != nil {
		t.Fatal(err)
	}
	return &Finder{Hub: hub, Sys: t.TempDir(), Dev: t.TempDir(), Timeout: time.Minute}
}

func (f *Finder) plug(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := os.MkdirAll(filepath.Join(f.Sys, p), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDevicesBehindBridges(t *testing.T) {
	f := newFinder(t)
	const bridge = "devices/pci0000:00/0000:00:02.0/"
	f.plug(t, bridge+"pci_bus/0000:05", bridge+"0000:05:03.0/virtio3/block/vdx", "devices/pci0000:00/0000:00:04.0/virtio9/net/enp4")
	if err := os.WriteFile(filepath.Join(f.Dev, "vdx"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	disk, _ := ParsePCIPath("02/03")
	if node, err := f.Block(t.Context(), disk); err != nil || node != filepath.Join(f.Dev, "vdx") {
		t.Errorf("%s, %v", node, err)
	}
	nic, _ := ParsePCIPath("04")
	if name, err := f.Link(t.Context(), nic); err != nil || name != "enp4" {
		t.Errorf("%s, %v", name, err)
	}
}

func TestDeviceThatComesInSteps(t *testing.T) {
	f := newFinder(t)
	p, _ := ParsePCIPath("02/00")
	const bridge = "devices/pci0000:00/0000:00:02.0/"
	got := make(chan error, 1)
	go func() {
		node, err := f.Block(context.Background(), p)
		if err == nil && filepath.Base(node) != "vdb" {
			err = errors.New(node)
		}
		got <- err
	}()
	for _, step := range []string{bridge, bridge + "pci_bus/0000:01", bridge + "0000:01:00.0", bridge + "0000:01:00.0/virtio1/block/vdb"} {
		f.plug(t, step)
		f.Hub.Poke()
	}
	if err := os.WriteFile(filepath.Join(f.Dev, "vdb"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.Hub.Poke()
	if err := leaktest.Receive(t, got); err != nil {
		t.Error(err)
	}
}

// The kernel shows a disk before it can be opened; the uevent comes after.
func TestDiskThatCannotBeOpenedYet(t *testing.T) {
	f := newFinder(t)
	f.plug(t, "bus/scsi/devices/0:0:1:2/block/sdq")
	node := filepath.Join(f.Dev, "sdq")
	const unusedMajor = 241 // of those for local use
	if err := unix.Mknod(node, unix.S_IFBLK|0o600, int(unix.Mkdev(unusedMajor, 7))); err != nil {
		t.Skipf("cannot make a device node here: %v", err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := f.SCSI(context.Background(), 1, 2)
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("a disk without a driver was found, error %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := errors.Join(os.Remove(node), os.WriteFile(node, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	f.Hub.Poke()
	if err := leaktest.Receive(t, got); err != nil {
		t.Error(err)
	}
}

func TestDeviceThatDoesNotCome(t *testing.T) {
	f := newFinder(t)
	f.Timeout = 20 * time.Millisecond
	p, _ := ParsePCIPath("02/00")
	if _, err := f.Block(t.Context(), p); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, err := f.SCSI(t.Context(), 1, 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	f.plug(t, "bus/scsi/devices/0:0:1:2/block/sdq")
	if err := os.WriteFile(filepath.Join(f.Dev, "sdq"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if node, err := f.SCSI(t.Context(), 1, 2); err != nil || filepath.Base(node) != "sdq" {
		t.Errorf("%s, %v", node, err)
	}
}

// A share's tag is waited for, unless the kernel cannot be asked.
func TestShareThatComesLater(t *testing.T) {
	f := newFinder(t)
	if err := f.Share(t.Context(), "kataShared"); err != nil {
		t.Errorf("a kernel that cannot be asked: %v", err)
	}
	tag := func(dir, text string) {
		f.plug(t, filepath.Join("fs/virtiofs", dir))
		if err := os.WriteFile(filepath.Join(f.Sys, "fs/virtiofs", dir, "tag"), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tag("0", "kataSharedToo")
	found := make(chan error, 1)
	go func() { found <- f.Share(t.Context(), "kataShared") }()
	select {
	case err := <-found:
		t.Errorf("another tag was taken for it: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	tag("1", "kataShared")
	f.Hub.Poke()
	if err := leaktest.Receive(t, found); err != nil {
		t.Error(err)
	}
	f.Timeout = time.Millisecond
	if err := f.Share(t.Context(), "absent"); !errors.Is(err, os.ErrNotExist) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a tag that does not come: %v", err)
	}
}

func TestHubSeesUevents(t *testing.T) {
	hub, err := NewHub()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- hub.Run(ctx) }()
	changed := hub.next()
	if err := os.WriteFile("/sys/class/mem/null/uevent", []byte("change"), 0); err != nil {
		cancel()
		t.Skipf("cannot make the kernel send a uevent here: %v", err)
	}
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Error("the uevent did not come")
	}
	cancel()
	if err := leaktest.Receive(t, done); err != nil {
		t.Error(err)
	}
}

func TestNumberOf(t *testing.T) {
	if n, kind, err := NumberOf("/dev/null"); err != nil || kind != "c" || n != (Number{1, 3}) {
		t.Errorf("%v %s %v", n, kind, err)
	}
	if _, _, err := NumberOf("/"); err == nil {
		t.Error("a directory is a device")
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/hypervisor/hypervisortest"
	"github.com/katapod/katapod/sandbox/storage"
)

// What virtiofsd may do with a mount that comes after its start is what was asked for from the first moment on: what is
// changed about a mount later stays with the shim's own copy.
func TestMountsReachVirtiofsdRestricted(t *testing.T) {
	needRoot(t)
	binary := hypervisortest.Virtiofsd(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, d := range []string{"share", "source/below", "lower", "upper", "work"} {
		if err := os.MkdirAll(at(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var m hostMounts
	if err := errors.Join(m.Share(at("share")), m.Share(at("source")), unix.Mount("tmpfs", at("source/below"), "tmpfs", 0, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(m.Unmount(at("share")), m.Unmount(at("source/below")), m.Unmount(at("source"))); err != nil {
			t.Error(err)
		}
	})
	root := servedRoot(t, binary, at("share"), at("s"))
	overlay := []string{"lowerdir=" + at("lower"), "upperdir=" + at("upper"), "workdir=" + at("work")}
	for name, c := range map[string]struct {
		mount                   func(target string) error
		readOnly, belowIs, tree bool
	}{
		"ro": {func(to string) error {
			return m.Bind(storage.Share{Source: at("source"), Access: storage.ReadOnly, Recursive: true}, to)
		}, true, false, true},
		"below": {func(to string) error {
			return m.Bind(storage.Share{Source: at("source"), Access: storage.ReadOnlyBelow, Recursive: true}, to)
		}, true, true, true},
		"rw": {func(to string) error { return m.Bind(storage.Share{Source: at("source"), Recursive: true}, to) }, false, false, true},
		"overlay": {func(to string) error {
			return m.Mount(storage.HostMount{Type: "overlay", Source: "overlay", Options: overlay}, to)
		}, false, false, false},
		"bound root": {func(to string) error {
			return m.Mount(storage.HostMount{Type: "bind", Source: at("source"), Options: []string{"rbind", "ro"}}, to)
		}, true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			target := filepath.Join(at("share"), name)
			if err := os.Mkdir(target, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := c.mount(target); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := errors.Join(m.Unmount(target), os.Remove(target)); err != nil {
					t.Error(err)
				}
			})
			for _, seen := range []string{target, filepath.Join(root, name)} {
				restricted(t, seen, c.readOnly)
				if c.tree {
					restricted(t, seen+"/below", c.belowIs)
				}
			}
		})
	}
}

// restricted checks that a device on a mount cannot be opened, and whether anything can be made there.
func restricted(t *testing.T, dir string, readOnly bool) {
	t.Helper()
	node := filepath.Join(dir, "made")
	err := unix.Mknod(node, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))
	if readOnly {
		if !errors.Is(err, unix.EROFS) {
			t.Errorf("making a device in %s: %v, want EROFS", dir, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(node); !errors.Is(err, unix.EACCES) {
		t.Errorf("a device in %s is open: %v, %v", dir, f, err)
	}
	if err := os.Remove(node); err != nil {
		t.Error(err)
	}
}

// servedRoot starts virtiofsd for a directory and returns the daemon's root.
func servedRoot(t *testing.T, binary, share, socket string) string {
	t.Helper()
	var pids []int
	daemon, err := startVirtiofsd(background, ShareConfig{
		Binary: binary, Socket: socket, Dir: share, Cache: "auto",
		Spawned: func(pid int) error { pids = append(pids, pid); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = daemon.Stop(background) })
	conn, err := net.Dial("unix", socket) // it enters its namespaces when a VMM comes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	hypervisortest.Answered(t, conn)
	return daemonRoot(t, pids[0], share)
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/hypervisor/hypervisortest"
	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/sandbox/storage"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount")
	}
}

func TestKillProcess(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	pid := strconv.Itoa(cmd.Process.Pid)
	started, err := startTime(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := killProcess(background, pid, started+"0"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
		t.Fatal("a process of another start time was killed")
	default:
	}
	for range 2 {
		if err := killProcess(background, pid, started); err != nil {
			t.Fatal(err)
		}
	}
	if err := leaktest.Receive(t, ended); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process ended with %v", err)
	}
}

func TestCheckFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := config.Default()
	good.Hypervisor.Path, good.Hypervisor.VirtioFSDaemon = file("vmm", "x", 0o755), file("virtiofsd", "x", 0o755)
	good.Hypervisor.Kernel, good.Hypervisor.Image = file("kernel", "x", 0o644), file("image", "x", 0o644)
	if err := checkFiles(good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		code failure.Code
		set  func(*config.Hypervisor)
	}{
		{"no VMM", failure.VMMMissing, func(h *config.Hypervisor) { h.Path = dir + "/no" }},
		{"VMM not executable", failure.VMMMissing, func(h *config.Hypervisor) { h.Path = h.Kernel }},
		{"no kernel", failure.KernelMissing, func(h *config.Hypervisor) { h.Kernel = dir + "/no" }},
		{"empty kernel", failure.KernelMissing, func(h *config.Hypervisor) { h.Kernel = file("empty", "", 0o644) }},
		{"kernel is a directory", failure.KernelMissing, func(h *config.Hypervisor) { h.Kernel = dir }},
		{"no image", failure.ImageMissing, func(h *config.Hypervisor) { h.Image = dir + "/no" }},
		{"neither image nor initrd", failure.ImageMissing, func(h *config.Hypervisor) { h.Image = "" }},
		{"no virtiofsd", failure.VirtiofsdMissing, func(h *config.Hypervisor) { h.VirtioFSDaemon = dir + "/no" }},
	} {
		bad := good
		c.set(&bad.Hypervisor)
		err := checkFiles(bad)
		if err == nil || classify(StepCheck, err) != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	noShare := good
	noShare.Hypervisor.SharedFS, noShare.Hypervisor.VirtioFSDaemon = config.SharedFSNone, ""
	if err := checkFiles(noShare); err != nil {
		t.Errorf("without a share no virtiofsd is needed: %v", err)
	}
}

func TestMkfs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	if err := makeSparse(path, 16<<20); err != nil {
		t.Fatal(err)
	}
	if err := makeSparse(path, 1); err == nil {
		t.Error("a disk that exists is made anew")
	}
	if err := mkfs(background, "ext4", path); err != nil {
		t.Fatal(err)
	}
	magic := make([]byte, 2)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadAt(magic, 1024+56); err != nil || magic[0] != 0x53 || magic[1] != 0xef {
		t.Errorf("the disk's magic is %x, %v", magic, err)
	}
	wantIs(t, "a file system of no kind", mkfs(background, "nosuchfs", path), errdefs.ErrNotFound)
}

func TestMounts(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	var m hostMounts
	for _, d := range []string{"share/ro", "share/root", "source/below", "lower", "upper", "work"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	t.Cleanup(func() {
		if err := errors.Join(m.Unmount(at("share/ro")), m.Unmount(at("share/root")), m.Unmount(at("share")), m.Unmount(at("source/below")), m.Unmount(at("source"))); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(text), dir) {
			t.Errorf("mounts are left below %s: %v", dir, err)
		}
	})
	if err := errors.Join(m.Share(at("share")), m.Share(at("source")), unix.Mount("tmpfs", at("source/below"), "tmpfs", 0, "")); err != nil {
		t.Fatal(err)
	}
	if err := m.Bind(storage.Share{Source: at("source"), Access: storage.ReadOnly, Recursive: true}, at("share/ro")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("share/ro/x"), nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing on a read-only bind: %v", err)
	}
	if err := os.WriteFile(at("share/ro/below/x"), nil, 0o600); err != nil {
		t.Errorf("writing on a mount below a read-only bind: %v", err)
	}
	if err := errors.Join(m.Unmount(at("share/ro")), m.Bind(storage.Share{Source: at("source"), Access: storage.ReadOnlyBelow, Recursive: true}, at("share/ro"))); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"x", "below/x"} {
		if err := os.WriteFile(at("share/ro/"+f), nil, 0o600); !errors.Is(err, unix.EROFS) {
			t.Errorf("writing %s on a read-only bind: %v", f, err)
		}
	}
	overlay := storage.HostMount{Type: "overlay", Source: "overlay", Options: []string{"lowerdir=" + at("lower"), "upperdir=" + at("upper"), "workdir=" + at("work")}}
	if err := m.Mount(overlay, at("share/root")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("share/root/file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := errors.Join(m.Unmount(at("share/ro")), m.Unmount(at("share/root")), m.Unmount(at("no such file"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("source/below/x"), nil, 0o600); err != nil {
		t.Errorf("a mount of the source went with its copy: %v", err)
	}
	if _, err := os.Stat(at("upper/file")); err != nil {
		t.Error(err)
	}
}

// What is mounted on the share after virtiofsd started is seen by it, and what
// is unmounted is not held by it.
func TestMountsReachVirtiofsd(t *testing.T) {
	needRoot(t)
	binary := hypervisortest.Virtiofsd(t)
	dir := t.TempDir()
	var m hostMounts
	share := filepath.Join(dir, "share")
	if err := os.MkdirAll(share, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := m.Share(share); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Unmount(share) })
	root := servedRoot(t, binary, share, filepath.Join(dir, "s"))
	target := filepath.Join(share, "c1", "rootfs")
	if err := os.MkdirAll(target, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.Mount(storage.HostMount{Type: "tmpfs", Source: "tmpfs"}, target); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(target, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	seen := filepath.Join(root, "c1", "rootfs", "file")
	if _, err := os.Stat(seen); err != nil {
		t.Errorf("virtiofsd does not see a mount made after its start: %v", err)
	}
	if err := m.Unmount(target); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(seen); !os.IsNotExist(err) {
		t.Errorf("virtiofsd holds a mount that is gone: %v", err)
	}
	if err := os.Remove(target); err != nil {
		t.Errorf("the mount point cannot be removed: %v", err)
	}
}

// daemonRoot is the root directory of the daemon, or of its child, that serves the shared
// directory.
func daemonRoot(t *testing.T, pid int, share string) string {
	t.Helper()
	want, err := os.Stat(share)
	if err != nil {
		t.Fatal(err)
	}
	own := strconv.Itoa(pid)
	text, err := os.ReadFile("/proc/" + own + "/task/" + own + "/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(strings.Fields(string(text)), own) {
		root := "/proc/" + p + "/root"
		if got, err := os.Stat(root); err == nil && os.SameFile(want, got) {
			return root
		}
	}
	t.Fatal("virtiofsd has not entered the shared directory")
	return ""
}

// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/device"
	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/typespb"
)

// inside marks the run of the tests that is in a mount namespace of its own.
const inside = "KATAPOD_TEST_MOUNT_NAMESPACE"

// TestMain runs the tests again in a mount namespace of their own, so that no
// mount of theirs reaches the machine.
func TestMain(m *testing.M) {
	if os.Getuid() != 0 || os.Getenv(inside) != "" {
		leaktest.Main(m)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=yes")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "run the tests in a mount namespace of their own:", err)
		os.Exit(1)
	}
}

func newManager(t *testing.T) *Manager {
	t.Helper()
	if os.Getenv(inside) == "" {
		t.Skip("a mount namespace of its own needs root")
	}
	hub, err := device.NewHub()
	if err != nil {
		t.Fatal(err)
	}
	return New(&device.Finder{Hub: hub, Sys: t.TempDir(), Dev: "/dev", Timeout: 50 * time.Millisecond}, nil)
}

func mounted(t *testing.T, path string) bool {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(data), " "+path+" ")
}

func TestLastUserUnmounts(t *testing.T) {
	m := newManager(t)
	at := filepath.Join(t.TempDir(), "shm")
	s := []*agentpb.Storage{{Driver: "ephemeral", Source: "shm", Fstype: "tmpfs", MountPoint: at, Options: []string{"size=1048576", "mode=1777", "noexec"}}}
	first, err := m.Add(t.Context(), "", s)
	if err != nil {
		t.Fatal(err)
	}
	second, err := m.Add(t.Context(), "", s)
	if err != nil {
		t.Fatal(err)
	}
	for i, release := range []func() error{first, first, second} {
		if !mounted(t, at) {
			t.Errorf("release %d: gone too early", i)
		}
		if err := release(); err != nil {
			t.Error(err)
		}
	}
	if mounted(t, at) {
		t.Error("still mounted")
	}
}

func TestSharedStaysUntilTheEnd(t *testing.T) {
	m := newManager(t)
	at := t.TempDir()
	release, err := m.Add(t.Context(), "", []*agentpb.Storage{{Driver: "ephemeral", Source: "x", Fstype: "tmpfs", MountPoint: at, Shared: true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := release(); err != nil || !mounted(t, at) {
		t.Errorf("after its user: mounted %v, %v", mounted(t, at), err)
	}
	if err := m.Close(); err != nil || mounted(t, at) {
		t.Errorf("after the end: mounted %v, %v", mounted(t, at), err)
	}
}

func TestFailureGivesBackWhatWasMade(t *testing.T) {
	m := newManager(t)
	at := t.TempDir()
	_, err := m.Add(t.Context(), "", []*agentpb.Storage{
		{Driver: "ephemeral", Source: "x", Fstype: "tmpfs", MountPoint: at}, {Driver: "none"},
	})
	if !errors.Is(err, errdefs.ErrInvalidArgument) || !strings.Contains(err.Error(), `"none"`) || mounted(t, at) {
		t.Errorf("mounted %v, %v", mounted(t, at), err)
	}
	if len(m.entries) != 0 || len(m.order) != 0 {
		t.Errorf("left %v %v", m.entries, m.order)
	}
}

func TestManyUsersMakeOne(t *testing.T) {
	m := newManager(t)
	var made, undone atomic.Int32
	m.drivers["count"] = func(context.Context, request) (func() error, error) {
		made.Add(1)
		return func() error { undone.Add(1); return nil }, nil
	}
	failed := make(chan error)
	const users = 20
	for range users {
		go func() {
			release, err := m.Add(context.Background(), "", []*agentpb.Storage{{Driver: "count", MountPoint: "/x"}})
			if err == nil {
				err = release()
			}
			failed <- err
		}()
	}
	for range users {
		if err := leaktest.Receive(t, failed); err != nil {
			t.Error(err)
		}
	}
	if made.Load() != undone.Load() || made.Load() == 0 || len(m.entries) != 0 {
		t.Errorf("made %d, undone %d, left %d", made.Load(), undone.Load(), len(m.entries))
	}
}

func TestOverlay(t *testing.T) {
	m := newManager(t)
	dir := t.TempDir()
	// The test's directory may be on a file system that cannot be an upper one.
	if err := unix.Mount("x", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Mkdir(path("lower"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*agentpb.Storage{
		"directories made": {
			DriverOptions: []string{createDirectory + path("u/fs"), createDirectory + path("u/work")},
			Options:       []string{"lowerdir=" + path("lower"), "upperdir=" + path("u/fs"), "workdir=" + path("u/work")},
		},
		"its own upper": {Options: []string{"lowerdir=" + path("lower"), overlayRW}},
	} {
		s.Driver, s.Fstype, s.MountPoint = "overlayfs", "overlay", path("root "+name[:3])
		release, err := m.Add(t.Context(), path("bundle"), []*agentpb.Storage{s})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(s.MountPoint, "f"), nil, 0o644); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := release(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := m.Add(t.Context(), "", []*agentpb.Storage{{Driver: "overlayfs", MountPoint: path("x"), Options: []string{overlayRW}}}); !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Errorf("an upper of its own for nobody: %v", err)
	}
}

func TestBindAndLocal(t *testing.T) {
	m := newManager(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	local := filepath.Join(dir, "local")
	release, err := m.Add(t.Context(), "", []*agentpb.Storage{
		{Driver: "bind", Source: file, MountPoint: filepath.Join(dir, "a/b"), Options: []string{"ro"}},
		{Driver: "watchable-bind", Source: dir, MountPoint: filepath.Join(dir, "d"), Options: []string{"bind", "rprivate"}},
		{Driver: "local", MountPoint: local, Options: []string{"mode=01770"}},
		{Driver: "local", MountPoint: local + "2", Options: []string{"fsgid=1234"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a/b"), nil, 0o644); !errors.Is(err, unix.EROFS) {
		t.Errorf("a read-only bind is writable: %v", err)
	}
	if info, err := os.Stat(local); err != nil || info.Mode() != os.ModeDir|os.ModeSticky|0o770 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	var st unix.Stat_t
	if err := unix.Stat(local+"2", &st); err != nil || st.Gid != 1234 || st.Mode&0o7777 != 0o2775 {
		t.Errorf("group %d, mode %o, %v", st.Gid, st.Mode, err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(local); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}

func TestFSGroup(t *testing.T) {
	m := newManager(t)
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "d"), 0o700), os.WriteFile(filepath.Join(dir, "d/f"), nil, 0o600), os.Symlink("/etc/passwd", filepath.Join(dir, "l"))); err != nil {
		t.Fatal(err)
	}
	stat := func(path string) (uint32, uint32) {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Gid, st.Mode & 0o7777
	}
	add := func(gid uint32, policy typespb.FSGroupChangePolicy) {
		release, err := m.Add(t.Context(), "", []*agentpb.Storage{{
			Driver: "bind", Source: dir, MountPoint: filepath.Join(dir, "at"), FsGroup: &agentpb.FSGroup{GroupId: gid, GroupChangePolicy: policy},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := release(); err != nil {
			t.Fatal(err)
		}
	}
	add(77, typespb.FSGroupChangePolicy_Always)
	for path, mode := range map[string]uint32{"d": 0o2770, "d/f": 0o660, "l": 0o777} {
		if g, m := stat(filepath.Join(dir, path)); g != 77 || m != mode {
			t.Errorf("%s: group %d, mode %o", path, g, m)
		}
	}
	if err := os.Chown(filepath.Join(dir, "d/f"), 0, 0); err != nil {
		t.Fatal(err)
	}
	add(77, typespb.FSGroupChangePolicy_OnRootMismatch)
	if g, _ := stat(filepath.Join(dir, "d/f")); g != 0 {
		t.Error("a volume whose root has the group was walked")
	}
	add(88, typespb.FSGroupChangePolicy_OnRootMismatch)
	if g, _ := stat(filepath.Join(dir, "d/f")); g != 88 {
		t.Error("a volume whose root has another group was not walked")
	}
}

func TestResize(t *testing.T) {
	m := newManager(t)
	at := t.TempDir()
	s := &agentpb.Storage{Driver: "ephemeral", Source: "tmpfs", Fstype: "tmpfs", MountPoint: at, Options: []string{"size=1048576"}}
	if _, err := m.Add(t.Context(), "", []*agentpb.Storage{s}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	s.Options = []string{"size=8388608"}
	if err := m.Resize([]*agentpb.Storage{s}); err != nil {
		t.Fatal(err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil || st.Blocks*uint64(st.Bsize) != 8<<20 {
		t.Errorf("%d bytes, %v", st.Blocks*uint64(st.Bsize), err)
	}
	s.Driver = "bind"
	if err := m.Resize([]*agentpb.Storage{s}); !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Errorf("another driver: %v", err)
	}
}

func TestBadSources(t *testing.T) {
	m := newManager(t)
	for _, s := range []*agentpb.Storage{
		{Driver: "blk", Source: "20/00"}, {Driver: "scsi", Source: "1"}, {Driver: "scsi", Source: "a:b"}, {Driver: "mmioblk", Source: "vdb"},
		{Driver: "local", MountPoint: "/nonexistent/x", Options: []string{"mode=rwx"}},
		{Driver: "ephemeral", Fstype: "hugetlbfs", MountPoint: "/nonexistent/x", Options: []string{"size=2Mi"}},
		{Driver: "ephemeral", Fstype: "hugetlbfs", MountPoint: "/nonexistent/x", Options: []string{"pagesize=2Mi", "size=3Mi"}},
	} {
		if _, err := m.Add(t.Context(), "", []*agentpb.Storage{s}); !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%v: %v", s, err)
		}
	}
	if _, err := m.Add(t.Context(), "", []*agentpb.Storage{{Driver: "blk", Source: "02/00"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a disk that does not come: %v", err)
	}
	if _, err := m.Add(t.Context(), "", []*agentpb.Storage{{Driver: "blk", Source: "02/00", DriverOptions: []string{"encryption_key=ephemeral"}}}); !errors.Is(err, errdefs.ErrNotImplemented) {
		t.Errorf("encryption: %v", err)
	}
}

func TestParseOptions(t *testing.T) {
	o := parseOptions([]string{"rw,noexec", "nodev", "ro", "rslave", "size=5", "exec", "lowerdir=a:b"})
	if o.flags != unix.MS_NODEV|unix.MS_RDONLY || len(o.propagation) != 1 || strings.Join(o.data, ",") != "size=5,lowerdir=a:b" {
		t.Errorf("%+v", o)
	}
	if v, ok := o.value("size"); !ok || v != "5" || len(o.data) != 1 {
		t.Errorf("%q %v %v", v, ok, o.data)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]uint64{"1048576": 1 << 20, "2M": 2 << 20, "2Mi": 2 << 20, "2MiB": 2 << 20, "1G": 1 << 30, "64K": 64 << 10} {
		if n, err := parseSize(text); err != nil || n != want {
			t.Errorf("%s: %d, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "M", "2X", "-1", "99999999999T", "2MM"} {
		if _, err := parseSize(text); err == nil {
			t.Errorf("%q is a size", text)
		}
	}
}

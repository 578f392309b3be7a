// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/sandbox/hostcgroup"
)

// sleeper starts a process that ends only when it is killed.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	c := exec.Command("sleep", "1000")
	must(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return c
}

func TestProcessIsKilled(t *testing.T) {
	c := sleeper(t)
	r, err := ProcessOf(c.Process.Pid)
	must(t, err)
	must(t, undoProcess(t.Context(), r.Args))
	err = c.Wait()
	if status, ok := c.ProcessState.Sys().(interface{ Signal() os.Signal }); err == nil || ok && status.Signal() != os.Kill {
		t.Errorf("the process ended with %v", err)
	}
	must(t, undoProcess(t.Context(), r.Args)) // gone is fine
}

func TestAnotherProcessOfThatNumberIsLeftAlone(t *testing.T) {
	c := sleeper(t)
	r, err := ProcessOf(c.Process.Pid)
	must(t, err)
	start, err := strconv.Atoi(r.Args[1])
	must(t, err)
	must(t, undoProcess(t.Context(), []string{r.Args[0], strconv.Itoa(start + 1)}))
	if err := c.Process.Signal(unix.Signal(0)); err != nil {
		t.Errorf("the process is gone: %v", err)
	}
}

func TestStartTimeOfAProcessWithAnOddName(t *testing.T) {
	odd := filepath.Join(t.TempDir(), ") 1 2 (")
	data, err := os.ReadFile("/bin/sleep")
	must(t, err)
	must(t, os.WriteFile(odd, data, 0o700))
	c := exec.Command(odd, "1000")
	must(t, c.Start())
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
	r, err := ProcessOf(c.Process.Pid)
	must(t, err)
	self, err := ProcessOf(os.Getpid())
	must(t, err)
	a, _ := strconv.Atoi(r.Args[1])
	b, _ := strconv.Atoi(self.Args[1])
	if a < b {
		t.Errorf("the process began at %d, before its parent at %d", a, b)
	}
}

func TestProcessThatIsGone(t *testing.T) {
	c := sleeper(t)
	_ = c.Process.Kill()
	_ = c.Wait()
	if _, err := ProcessOf(c.Process.Pid); !errdefs.IsNotFound(err) {
		t.Errorf("error %v", err)
	}
}

func TestWaitForAProcessEndsWithTheContext(t *testing.T) {
	c := sleeper(t)
	fd, err := unix.PidfdOpen(c.Process.Pid, unix.PIDFD_NONBLOCK)
	must(t, err)
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := waitEnd(ctx, f); err != context.DeadlineExceeded {
		t.Errorf("error %v", err)
	}
}

// tmpfs mounts one, or skips where that is not allowed.
func tmpfs(t *testing.T, at string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	must(t, os.MkdirAll(at, 0o700))
	must(t, unix.Mount("tmpfs", at, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
}

func TestMountsAreUndoneFromTheDeepest(t *testing.T) {
	top := filepath.Join(t.TempDir(), "with space")
	tmpfs(t, top)
	tmpfs(t, top) // twice at one place
	tmpfs(t, filepath.Join(top, "below", "deep"))
	beside := top + "-beside"
	tmpfs(t, beside)
	busy, err := os.Open(filepath.Join(top, "below"))
	must(t, err)
	defer busy.Close()
	must(t, undoMount(t.Context(), []string{top}))
	if left, err := mountsBelow(top); err != nil || len(left) > 0 {
		t.Errorf("still mounted: %v, error %v", left, err)
	}
	if left, err := mountsBelow(beside); err != nil || len(left) != 1 {
		t.Errorf("beside is mounted %d times, error %v", len(left), err)
	}
	must(t, undoMount(t.Context(), []string{top}))
	must(t, undoMount(t.Context(), []string{top + "/absent/more"}))
}

func TestDirectoryWithAMountIsKept(t *testing.T) {
	top := filepath.Join(t.TempDir(), "top")
	volume := filepath.Join(top, "volume")
	tmpfs(t, volume)
	precious := filepath.Join(volume, "precious")
	must(t, os.WriteFile(precious, nil, 0o600))
	err := undoDir(t.Context(), []string{top})
	if !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), volume) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("the volume's file: %v", err)
	}
	must(t, undoMount(t.Context(), []string{volume}))
	must(t, undoDir(t.Context(), []string{top}))
	if _, err := os.Stat(top); !os.IsNotExist(err) {
		t.Errorf("the directory: %v", err)
	}
}

func TestMountBehindALinkIsSeen(t *testing.T) {
	real := filepath.Join(t.TempDir(), "real")
	tmpfs(t, filepath.Join(real, "dir", "volume"))
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(real, link))
	if err := undoDir(t.Context(), []string{filepath.Join(link, "dir")}); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("error %v", err)
	}
	if err := undoDir(t.Context(), []string{link}); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("a link for a directory: %v", err)
	}
}

func TestFilesAndSockets(t *testing.T) {
	d := t.TempDir()
	plain, sock := filepath.Join(d, "plain"), filepath.Join(d, "sock")
	must(t, os.WriteFile(plain, nil, 0o600))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: sock})
	must(t, err)
	l.SetUnlinkOnClose(false)
	must(t, l.Close())
	if err := undoSocket(t.Context(), []string{plain}); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("a file for a socket: %v", err)
	}
	if err := undoFile(t.Context(), []string{d}); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("a directory for a file: %v", err)
	}
	for range 2 {
		must(t, undoFile(t.Context(), []string{plain}))
		must(t, undoSocket(t.Context(), []string{sock}))
	}
	if left, _ := os.ReadDir(d); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{`/a\040b`: "/a b", `/a\134\011`: "/a\\\t", `/a\04`: `/a\04`, `/a\999`: `/a\999`, "": ""} {
		if got := unescape(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// TestKilledOwner is the whole of it: an owner is killed in the midst, and a
// replay by another process leaves nothing.
func TestKilledOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting and cgroups need root")
	}
	if base := os.Getenv("LEDGER_TEST_OWNER"); base != "" {
		own(t, base)
		return
	}
	base := t.TempDir()
	parent := "/katapod-ledger-test-" + strconv.Itoa(os.Getpid())
	cgroup := parent + "/kata_owner"
	owner := exec.Command(os.Args[0], "-test.run=^TestKilledOwner$")
	owner.Env = append(os.Environ(), "LEDGER_TEST_OWNER="+base, "LEDGER_TEST_CGROUP="+cgroup)
	out, err := owner.StdoutPipe()
	must(t, err)
	must(t, owner.Start())
	ready, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the owner said %q, error %v", ready, err)
	}
	path := filepath.Join(base, "ledger")
	if err := Replay(t.Context(), path, StandardUndo()); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("replay while the owner lives: %v", err)
	}
	must(t, owner.Process.Kill())
	_ = owner.Wait()
	must(t, Replay(t.Context(), path, StandardUndo()))
	if left, _ := os.ReadDir(base); len(left) != 1 {
		t.Errorf("left in %s are %v, want the ledger alone", base, left)
	}
	if _, err := hostcgroup.Load(cgroup); !errdefs.IsNotFound(err) {
		t.Errorf("the cgroup: %v", err)
	}
	l, err := Open(path)
	must(t, err)
	defer l.Close()
	if len(l.Held()) > 0 {
		t.Errorf("still held are %v", l.Held())
	}
	above, err := hostcgroup.Load(parent)
	must(t, err)
	must(t, above.Delete(t.Context()))
}

// own acquires one of everything and then waits to be killed.
func own(t *testing.T, base string) {
	l, err := Open(filepath.Join(base, "ledger"))
	must(t, err)
	d, m := filepath.Join(base, "d"), filepath.Join(base, "d", "m")
	must(t, l.Acquire(dir(d)))
	must(t, os.Mkdir(d, 0o700))
	must(t, l.Acquire(Resource{Mount, []string{m}}))
	must(t, os.Mkdir(m, 0o700))
	must(t, unix.Mount("tmpfs", m, "tmpfs", 0, "size=64k"))
	cgroup := os.Getenv("LEDGER_TEST_CGROUP")
	must(t, l.Acquire(Resource{Cgroup, []string{cgroup}}))
	group, err := hostcgroup.Create(cgroup, hostcgroup.Limits{})
	must(t, err)
	c := exec.Command("sleep", "1000")
	must(t, c.Start())
	must(t, group.Add(c.Process.Pid))
	r, err := ProcessOf(c.Process.Pid)
	must(t, err)
	must(t, l.Acquire(r))
	must(t, l.Acquire(dir(filepath.Join(base, "never-made"))))
	if slices.Contains(os.Args, "-test.v") {
		t.Log("owning")
	}
	_, _ = os.Stdout.WriteString("ready\n")
	select {}
}

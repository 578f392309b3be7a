// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/console"
	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/cgroup"
	"github.com/katapod/katapod/agent/reaper"
	tokens "github.com/katapod/katapod/agent/streams"
	"github.com/katapod/katapod/protocols/stdio"
)

// plainRuntime runs processes of this machine as they are.
type plainRuntime struct {
	fail    error
	deleted atomic.Int32
	args    []string
	kill    []int
}

func (r *plainRuntime) launch(args []string, files Files) (Started, error) {
	if r.fail != nil {
		return Started{}, r.fail
	}
	cmd := exec.Command(args[0], args[1:]...)
	var master *os.File
	if files.Terminal {
		c, name, err := console.NewPty()
		if err != nil {
			return Started{}, err
		}
		tty, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			return Started{}, err
		}
		defer func() { _ = tty.Close() }()
		fd, err := unix.Dup(int(c.Fd()))
		if err == nil {
			err = unix.SetNonblock(fd, true)
		}
		if err != nil {
			return Started{}, err
		}
		_ = c.Close()
		master = os.NewFile(uintptr(fd), "master")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
		cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	} else {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = files.Stdin, files.Stdout, files.Stderr
	}
	if err := cmd.Start(); err != nil {
		return Started{}, err
	}
	r.kill = append(r.kill, cmd.Process.Pid)
	exit := make(chan reaper.Exit, 1)
	go func() {
		_ = cmd.Wait()
		status := cmd.ProcessState.ExitCode()
		if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			status = 128 + int(ws.Signal())
		}
		exit <- reaper.Exit{Status: status}
	}()
	return Started{PID: cmd.Process.Pid, Exit: exit, Terminal: master}, nil
}

func (r *plainRuntime) Create(_ context.Context, _, _ string, f Files) (Started, error) {
	return r.launch(r.args, f)
}
func (r *plainRuntime) Start(context.Context, string, string) error { return r.fail }
func (r *plainRuntime) Exec(_ context.Context, _, _ string, p *specs.Process, f Files) (Started, error) {
	return r.launch(p.Args, f)
}
func (r *plainRuntime) Update(context.Context, string, string, *specs.LinuxResources) error {
	return r.fail
}
func (r *plainRuntime) Delete(context.Context, string, string) error {
	r.deleted.Add(1)
	for _, pid := range r.kill {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	return nil
}

type fixture struct {
	*Container
	runtime  *plainRuntime
	registry *tokens.Registry
	released int
}

func newFixture(t *testing.T, names Tokens, terminal bool, script string) *fixture {
	t.Helper()
	f := &fixture{runtime: &plainRuntime{args: []string{"/bin/sh", "-c", script}}, registry: tokens.New()}
	f.Container = New(Config{
		ID: "c", Bundle: filepath.Join(t.TempDir(), "bundle"), Cgroup: cgroup.Dir(filepath.Join(t.TempDir(), "none")),
		Spec: &specs.Spec{Process: &specs.Process{Terminal: terminal}}, Tokens: names,
		Release: func() error { f.released++; return nil },
	}, f.runtime, f.registry)
	if err := f.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fixture) stream(t *testing.T, token stdio.Token) net.Conn {
	t.Helper()
	host, guest := net.Pipe()
	if err := f.registry.Deliver(token, guest); err != nil {
		t.Fatal(err)
	}
	return host
}

func (f *fixture) process(t *testing.T, id string) *Process {
	t.Helper()
	p, err := f.Process(id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStreams(t *testing.T) {
	f := newFixture(t, Tokens{1, 2, 3}, false, "cat; echo err >&2; exit 4")
	in, out, errs := f.stream(t, 1), f.stream(t, 2), f.stream(t, 3)
	go func() { _, _ = io.WriteString(in, "text"); _ = in.Close() }()
	for want, from := range map[string]net.Conn{"text": out, "err\n": errs} {
		if data, err := io.ReadAll(from); err != nil || string(data) != want {
			t.Errorf("%q, %v", data, err)
		}
	}
	if status, err := f.process(t, "c").Wait(t.Context()); err != nil || status != 4 || f.State() != Stopped {
		t.Errorf("status %d, %v, %s", status, err, f.State())
	}
}

func TestOutputThatNobodyTakes(t *testing.T) {
	f := newFixture(t, Tokens{0, 2, 0}, false, "head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero; exit 0")
	out := f.stream(t, 2)
	if _, err := out.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	_ = out.Close()
	if status, err := f.process(t, "").Wait(t.Context()); err != nil || status != 0 {
		t.Errorf("status %d, %v", status, err)
	}
}

func TestByCalls(t *testing.T) {
	f := newFixture(t, Tokens{}, false, "cat; exec sleep 1000")
	p := f.process(t, "c")
	if n, err := p.WriteStdin(t.Context(), []byte("hello")); err != nil || n != 5 {
		t.Fatal(n, err)
	}
	if data, err := p.ReadStdout(t.Context(), 3); err != nil || string(data) != "hel" {
		t.Errorf("%q, %v", data, err)
	}
	if data, err := p.ReadStdout(t.Context(), 0); err != nil || string(data) != "lo" {
		t.Errorf("%q, %v", data, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.ReadStdout(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a read that is given up: %v", err)
	}
	for range 2 {
		if n, err := p.WriteStdin(t.Context(), nil); err != nil || n != 0 {
			t.Error(n, err)
		}
	}
	if _, err := p.WriteStdin(t.Context(), []byte("x")); !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("a write after the end: %v", err)
	}
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, read := range []func(context.Context, uint32) ([]byte, error){p.ReadStdout, p.ReadStderr} {
		if data, err := read(t.Context(), 0); err != nil || len(data) != 0 {
			t.Errorf("%q, %v", data, err)
		}
	}
	if status, err := p.Wait(t.Context()); err != nil || status != 137 {
		t.Errorf("status %d, %v", status, err)
	}
	if err := p.Signal(unix.SIGKILL); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("a signal to nobody: %v", err)
	}
}

func TestTerminal(t *testing.T) {
	f := newFixture(t, Tokens{1, 2, 0}, true, "read x; stty size; exit 3")
	p := f.process(t, "c")
	if err := p.Resize(12, 34); err != nil {
		t.Fatal(err)
	}
	in, out := f.stream(t, 1), f.stream(t, 2)
	go func() { _, _ = io.WriteString(in, "go\n") }()
	if data, err := io.ReadAll(out); err != nil || string(data) != "go\r\n12 34\r\n" {
		t.Errorf("%q, %v", data, err)
	}
	if status, err := p.Wait(t.Context()); err != nil || status != 3 {
		t.Errorf("status %d, %v", status, err)
	}
	if _, err := p.ReadStdout(t.Context(), 1); !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("a call for a stream: %v", err)
	}
}

func TestExecNames(t *testing.T) {
	f := newFixture(t, Tokens{0, 9, 0}, false, "exec sleep 1000")
	run := func(id string, names Tokens) error {
		return f.Exec(t.Context(), id, &specs.Process{Args: []string{"/bin/echo", "x"}}, names)
	}
	if err := run("e", Tokens{}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"e", "c"} {
		if err := run(id, Tokens{}); !errors.Is(err, errdefs.ErrAlreadyExists) {
			t.Errorf("%s twice: %v", id, err)
		}
	}
	if err := run("", Tokens{}); !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Errorf("no name: %v", err)
	}
	p := f.process(t, "e")
	if _, err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Forget("e")
	f.process(t, "e") // its output is not read
	for _, read := range []func(context.Context, uint32) ([]byte, error){p.ReadStdout, p.ReadStdout, p.ReadStderr} {
		if _, err := read(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	f.Forget("e")
	if _, err := f.Process("e"); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("a process whose status and output were taken: %v", err)
	}
	f.runtime.fail = errors.New("no such program")
	if err := run("bad", Tokens{}); !errors.Is(err, f.runtime.fail) {
		t.Error(err)
	}
	f.runtime.fail = nil
	if err := run("bad", Tokens{}); err != nil {
		t.Errorf("the name of a process that never was: %v", err)
	}
}

func TestFailedCreateLeavesNothing(t *testing.T) {
	r := &plainRuntime{fail: errors.New("no")}
	c := New(Config{ID: "c", Spec: &specs.Spec{Process: &specs.Process{}}}, r, tokens.New())
	if err := c.Create(t.Context()); !errors.Is(err, r.fail) || r.deleted.Load() != 1 {
		t.Errorf("%v, deleted %d times", err, r.deleted.Load())
	}
	if _, err := c.Process("c"); !errors.Is(err, errdefs.ErrNotFound) {
		t.Error(err)
	}
}

// TestExitIsTheLastToBeKnown: what is done at the exit is done before anybody
// who waits knows.
func TestExitIsTheLastToBeKnown(t *testing.T) {
	var order []string
	c := New(Config{
		ID: "c", Bundle: t.TempDir(), Spec: &specs.Spec{Process: &specs.Process{}}, Cgroup: cgroup.Dir(t.TempDir()), SharedPID: true,
		AtExit: func() { order = append(order, "counted") },
	}, &plainRuntime{args: []string{"/bin/true"}}, tokens.New())
	if err := c.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := c.Process("c")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	order = append(order, string(c.State()))
	if !slices.Equal(order, []string{"counted", "stopped"}) {
		t.Errorf("%q", order)
	}
}

func TestRemoveGivesBackOnce(t *testing.T) {
	f := newFixture(t, Tokens{0, 1, 0}, false, "exec sleep 1000")
	if err := f.Remove(t.Context()); err != nil || f.released != 1 || f.State() != Stopped {
		t.Errorf("%v, released %d, %s", err, f.released, f.State())
	}
	f.config.Release = nil
}

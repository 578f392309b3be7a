// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor/internal/tail"
)

// logTail is how much of QEMU's standard error is kept, in bytes.
const logTail = 4 << 10

// drainLog bounds the wait for the rest of standard error after the process
// ended, in case a stray child holds it open.
const drainLog = time.Second

// process is one QEMU process, reaped by its own goroutine.
type process struct {
	cmd    *exec.Cmd
	log    *tail.Buffer
	exited chan struct{}
	// status is nil for exit status 0; valid once exited is closed.
	status error
}

// spawn starts binary in the network namespace at netns, or in the caller's
// when that is empty. files become descriptors 3, 4, ... of the process.
func spawn(binary string, args []string, files []*os.File, netns string) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), log: tail.New(logTail), exited: make(chan struct{})}
	p.cmd.Dir = "/"
	p.cmd.Env = []string{}
	p.cmd.Stderr = p.log
	p.cmd.ExtraFiles = files
	p.cmd.WaitDelay = drainLog
	// A group of its own keeps signals meant for the caller's terminal away.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := startIn(netns, p.cmd); err != nil {
		return nil, fmt.Errorf("start QEMU %s: %w", binary, err)
	}
	go func() {
		defer close(p.exited)
		p.status = p.cmd.Wait()
	}()
	return p, nil
}

// startIn starts cmd in a network namespace. A process inherits the namespace
// of the thread that forks it, so one thread goes there and back.
func startIn(netns string, cmd *exec.Cmd) error {
	if netns == "" {
		return cmd.Start()
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := enter(netns)
		if err != nil {
			runtime.UnlockOSThread()
			result <- err
			return
		}
		defer home.Close() // Read only: nothing to lose.
		err = cmd.Start()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		} // Otherwise the thread ends with this goroutine.
		result <- err
	}()
	return <-result
}

// enter moves the calling thread to the network namespace at path and returns
// the one it came from.
func enter(path string) (home *os.File, err error) {
	ns, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open its network namespace: %w", err)
	}
	defer ns.Close() // Read only: nothing to lose.
	if home, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return nil, fmt.Errorf("open the present network namespace: %w", err)
	}
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, errors.Join(fmt.Errorf("enter its network namespace %s: %w", path, err), home.Close())
	}
	return home, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill sends SIGKILL, through a pidfd where the kernel has it, and waits for
// the end. A process stuck in the kernel can outlive ctx, which is an error.
func (p *process) kill(ctx context.Context) error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill QEMU, process %d: %w", p.pid(), err)
	}
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("QEMU, process %d, did not end after SIGKILL; it may be stuck in the kernel on a device or network file system: %w: %w",
			p.pid(), ctx.Err(), errdefs.ErrUnavailable)
	}
}

// failed tells whether the process gave up by itself; it must have ended.
func (p *process) failed() bool {
	var exit *exec.ExitError
	return errors.As(p.status, &exit) && exit.Exited()
}

// ending says how the process ended; it must have.
func (p *process) ending() string {
	var exit *exec.ExitError
	switch {
	case p.status == nil:
		return "QEMU exited with status 0"
	case errors.As(p.status, &exit):
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return fmt.Sprintf("QEMU was killed by signal %d (%s)", ws.Signal(), ws.Signal())
		}
		return fmt.Sprintf("QEMU exited with status %d", exit.ExitCode())
	}
	return "QEMU ended, its status is unknown: " + p.status.Error()
}

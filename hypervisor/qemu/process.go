// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor/internal/tail"
	"github.com/katapod/katapod/protocols/timeouts"
)

// logTail is how much of QEMU's standard error is kept, in bytes.
const logTail = 4 << 10

// process is one QEMU process, reaped by its own goroutine.
type process struct {
	cmd    *exec.Cmd
	log    *tail.Buffer
	exited chan struct{}
	// status is nil for exit status 0; valid once exited is closed.
	status error
}

// spawn has start start binary. files become descriptors 3, 4, ... of the process.
func spawn(binary string, args []string, files []*os.File, start func(*exec.Cmd) error) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), log: tail.New(logTail), exited: make(chan struct{})}
	p.cmd.Dir = "/"
	p.cmd.Env = allocator()
	p.cmd.Stderr = p.log
	p.cmd.ExtraFiles = files
	p.cmd.WaitDelay = timeouts.DrainLog
	// A group of its own keeps signals meant for the caller's terminal away.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := start(p.cmd); err != nil {
		return nil, fmt.Errorf("start QEMU %s: %w", binary, err)
	}
	// It ends with the process; exited tells.
	go func() {
		defer close(p.exited)
		p.status = p.cmd.Wait()
	}()
	return p, nil
}

// allocator is QEMU's environment: nothing but how the C library gives memory back
// (mallopt(3)). By itself the library raises both bounds to 32 and 64 MiB once large
// pieces were freed, and the translator's tables for a guest that uses much memory are
// such: without bounds that are said, tens of MiB of them stay with QEMU when the guest
// has long given its memory back.
func allocator() []string {
	return []string{"MALLOC_MMAP_THRESHOLD_=131072", "MALLOC_TRIM_THRESHOLD_=262144"}
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

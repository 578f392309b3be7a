// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/reaper"
)

// streamGrace is how long an output may still wait for its connection after the
// process has ended.
const streamGrace = 30 * time.Second

// Process is one process of a container: the first one or an exec'd one.
type Process struct {
	containerID, id string
	streams         *streams
	byCalls         bool
	// waiting ends when no connection is waited for any more; stopWaiting ends it.
	waiting     context.Context
	stopWaiting context.CancelFunc

	pid int
	// pidfd refers to the process itself, so that no signal reaches another
	// process that got its PID later. It is -1 when the process had ended
	// before it could be opened, and after that.
	pidfdMu sync.Mutex
	pidfd   int

	exited chan struct{}
	status int

	// mu guards what follows.
	mu     sync.Mutex
	waited bool
}

func newProcess(containerID, id string, spec *specs.Process, config Config, tokens Tokens) (*Process, error) {
	s, err := newStreams(spec.Terminal, tokens.none() || tokens.Stdin != 0, config.PipeSize)
	if err != nil {
		return nil, fmt.Errorf("make the streams of process %s in container %s: %w", id, containerID, err)
	}
	if err := giveStreams(s.child, config.Spec.Linux, spec.User); err != nil {
		s.discard()
		return nil, err
	}
	p := &Process{containerID: containerID, id: id, streams: s, byCalls: tokens.none(), pidfd: -1, exited: make(chan struct{})}
	p.waiting, p.stopWaiting = context.WithCancel(context.Background())
	return p, nil
}

// begin takes over a process that the runtime has started. atExit runs after
// the process has ended and before anybody knows; forget runs when neither its
// status nor its output is wanted any more.
func (p *Process) begin(s Started, from Claimer, tokens Tokens, atExit func(), forget func()) {
	p.pid = s.PID
	if fd, err := unix.PidfdOpen(s.PID, 0); err == nil {
		p.pidfd = fd
	}
	p.streams.started(s.Terminal)
	alive, died := context.WithCancel(context.Background())
	if !p.byCalls {
		p.streams.attach(p.waiting, alive, from, tokens, forget)
	}
	// It is the process's, and ends with it.
	go func() {
		e := <-s.Exit
		p.closePidfd()
		atExit()
		p.finish(e)
		died()
		if !p.byCalls {
			p.streams.settle()
		}
		time.AfterFunc(streamGrace, p.stopWaiting)
	}()
}

func (p *Process) finish(e reaper.Exit) {
	p.status = e.Status
	close(p.exited)
}

func (p *Process) closePidfd() {
	p.pidfdMu.Lock()
	defer p.pidfdMu.Unlock()
	if p.pidfd >= 0 {
		_ = unix.Close(p.pidfd)
		p.pidfd = -1
	}
}

// PID returns the process's PID in the guest.
func (p *Process) PID() int { return p.pid }

// Exited is closed when the process has ended and its end is accounted for.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Wait waits for the process's end and returns its exit code, 128 plus the
// signal's number if a signal ended it. It gives up when ctx ends.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.exited:
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for process %s in container %s: %w", p.id, p.containerID, context.Cause(ctx))
	}
	p.mu.Lock()
	p.waited = true
	p.mu.Unlock()
	return p.status, nil
}

// done reports whether the process's status and all its output were taken.
func (p *Process) done() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waited && p.streams.ended()
}

// Signal sends a signal to the process alone. One that has ended is not found.
func (p *Process) Signal(sig unix.Signal) error {
	p.pidfdMu.Lock()
	defer p.pidfdMu.Unlock()
	if p.pidfd < 0 {
		return p.ended()
	}
	err := unix.PidfdSendSignal(p.pidfd, sig, nil, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return p.ended()
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%d is no signal: %w", int(sig), errdefs.ErrInvalidArgument)
	case err != nil:
		return fmt.Errorf("send signal %d to process %s in container %s: %w", int(sig), p.id, p.containerID, err)
	}
	return nil
}

func (p *Process) ended() error {
	return fmt.Errorf("process %s in container %s has ended: %w", p.id, p.containerID, errdefs.ErrNotFound)
}

// Resize sets the size of the process's terminal, in characters.
func (p *Process) Resize(rows, columns uint32) error {
	in := p.streams.stdin()
	if !p.streams.terminal || in == nil {
		return fmt.Errorf("process %s in container %s has no terminal: %w", p.id, p.containerID, errdefs.ErrFailedPrecondition)
	}
	raw, err := in.SyscallConn()
	if err != nil {
		return fmt.Errorf("resize the terminal of process %s in container %s: %w", p.id, p.containerID, err)
	}
	size := &unix.Winsize{Row: uint16(min(rows, 1<<16-1)), Col: uint16(min(columns, 1<<16-1))}
	var ioctl error
	err = raw.Control(func(fd uintptr) { ioctl = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
	if err := errors.Join(err, ioctl); err != nil {
		return fmt.Errorf("resize the terminal of process %s in container %s: %w", p.id, p.containerID, err)
	}
	return nil
}

// WriteStdin gives bytes to the process and returns how many it took; no bytes
// close its standard input.
func (p *Process) WriteStdin(ctx context.Context, data []byte) (int, error) {
	if err := p.onlyByCalls(); err != nil {
		return 0, err
	}
	if len(data) == 0 {
		return 0, p.streams.closeStdin()
	}
	return p.streams.write(ctx, data)
}

// CloseStdin ends the process's standard input. It may be called twice.
func (p *Process) CloseStdin() error { return p.streams.closeStdin() }

// ReadStdout returns the next bytes of the standard output, none at its end.
func (p *Process) ReadStdout(ctx context.Context, n uint32) ([]byte, error) {
	if err := p.onlyByCalls(); err != nil {
		return nil, err
	}
	return p.streams.out.read(ctx, n)
}

// ReadStderr is ReadStdout for the standard error. A terminal has none: the end
// comes at once.
func (p *Process) ReadStderr(ctx context.Context, n uint32) ([]byte, error) {
	if err := p.onlyByCalls(); err != nil {
		return nil, err
	}
	if p.streams.err == nil {
		return nil, nil
	}
	return p.streams.err.read(ctx, n)
}

func (p *Process) onlyByCalls() error {
	if !p.byCalls {
		return fmt.Errorf("process %s in container %s has streams of its own: %w", p.id, p.containerID, errdefs.ErrFailedPrecondition)
	}
	return nil
}

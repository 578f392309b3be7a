// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
)

// Exit codes of processes that did not report one of their own.
const (
	// exitKilled is 128 + SIGKILL: the pod ended under the process.
	exitKilled = 137
	// exitUnknown is the code of a process whose agent cannot tell.
	exitUnknown = 255
)

// Process is the first process of a container or a further one. It is safe for
// concurrent use.
type Process struct {
	container *Container
	id        string // of the exec; "" is init
	guestID   string // exec_id on the wire
	terminal  bool
	wanted    wantedStreams
	// launch makes the guest run the process, streams included for an exec.
	launch func(ctx context.Context) error

	starting sync.Mutex // held through Start
	awaited  sync.Once
	done     chan struct{}

	// mu guards what follows. It is taken under starting.
	mu      sync.Mutex
	status  Status
	code    int
	at      time.Time
	streams streams
	// size is that of an exec's terminal, when it was set before the start; launched
	// says that the guest was told of the exec, and takes sizes by itself.
	size     *specs.Box
	launched bool
}

func newProcess(c *Container, id, guestID string) *Process {
	return &Process{container: c, id: id, guestID: guestID, status: StatusCreated, done: make(chan struct{})}
}

// ID is the exec's id, empty for a container's init.
func (p *Process) ID() string { return p.id }

// Terminal tells whether the process has a terminal.
func (p *Process) Terminal() bool { return p.terminal }

// Status is where the process is in its life.
func (p *Process) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Done is closed when the process has ended, or its pod under it. Output may
// still be on its way: it ends with the streams.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitStatus is the exit code, 128+n after signal n, and when the end was
// noticed. It is meaningful once Done is closed.
func (p *Process) ExitStatus() (code int, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.code, p.at
}

// Stdin writes to the process; Close is the end of its input. It is nil when
// it was not asked for. The streams of an init exist once the container does,
// those of an exec once it was started.
func (p *Process) Stdin() io.WriteCloser {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.streams.stdin
}

// Stdout reads the process's output, or its terminal's; nil when it was not
// asked for. EOF comes after the last byte.
func (p *Process) Stdout() io.ReadCloser {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.streams.stdout
}

// Stderr is like Stdout; a process with a terminal has none.
func (p *Process) Stderr() io.ReadCloser {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.streams.stderr
}

// Start runs the process. A process that is not created is
// errdefs.ErrFailedPrecondition.
func (p *Process) Start(ctx context.Context) error {
	p.starting.Lock()
	defer p.starting.Unlock()
	if _, err := next(processTransitions(), p.String(), p.Status(), onStart); err != nil {
		return err
	}
	if err := p.launch(ctx); err != nil {
		return fmt.Errorf("start %s: %w", p, err)
	}
	if err := p.move(onStart); err != nil {
		return fmt.Errorf("%s ended while it was started: %w", p, err)
	}
	p.await()
	return nil
}

// Resize sets the size of the process's terminal, in characters. A process that
// was not started has that size when it starts.
func (p *Process) Resize(ctx context.Context, width, height uint32) error {
	if !p.terminal {
		return fmt.Errorf("resize the terminal of %s: it has none: %w", p, errdefs.ErrFailedPrecondition)
	}
	if p.Status() == StatusStopped {
		return fmt.Errorf("resize the terminal of %s: it has ended: %w", p, errdefs.ErrNotFound)
	}
	if p.keepSize(width, height) {
		return nil
	}
	p.awaitStart()
	agent := p.container.sandbox.guest()
	_, err := ask(ctx, agent, "resize the terminal of "+p.String(), timeouts.Request, agent.service.TtyWinResize,
		&agentpb.TtyWinResizeRequest{ContainerId: p.container.id, ExecId: p.guestID, Row: height, Column: width})
	return err
}

// keepSize keeps the size of a terminal that the guest does not have yet, which
// is that of an exec before its start. The terminal of an init is made with the
// container.
func (p *Process) keepSize(width, height uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.id == "" || p.status != StatusCreated || p.launched {
		return false
	}
	p.size = &specs.Box{Height: uint(height), Width: uint(width)}
	return true
}

// awaitStart waits until a start of an exec that is under way is over: the guest
// does not know its terminal before.
func (p *Process) awaitStart() {
	if p.id != "" && p.Status() == StatusCreated {
		p.starting.Lock()
		defer p.starting.Unlock()
	}
}

// takeSize returns the size that an exec starts with, nil for the one in its
// request; later ones go to the guest.
func (p *Process) takeSize() *specs.Box {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.launched = true
	return p.size
}

// String names the process in errors and logs.
func (p *Process) String() string {
	if p.id == "" {
		return "container " + p.container.id
	}
	return fmt.Sprintf("exec %s of container %s", p.id, p.container.id)
}

// move takes one arrow of the life cycle, exits apart.
func (p *Process) move(on string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	to, err := next(processTransitions(), p.String(), p.status, on)
	p.status = to
	return err
}

// exit records the end; only the first one counts.
func (p *Process) exit(code int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to, err := next(processTransitions(), p.String(), p.status, onExit)
	if err != nil {
		return
	}
	p.status, p.code, p.at = to, code, time.Now()
	close(p.done)
}

// setStreams hands the streams over to the process.
func (p *Process) setStreams(s streams) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams = s
}

// closeStreams ends readers and writers.
func (p *Process) closeStreams() {
	p.mu.Lock()
	s := p.streams
	p.mu.Unlock()
	s.close()
}

// await waits for the end of the process in the guest, in the background and
// once. It begins no earlier than anything can end the process.
func (p *Process) await() {
	if p.container.pause {
		return
	}
	// It is the process's, and ends with it or with the pod's life.
	p.awaited.Do(func() { go p.waitForExit() })
}

func (p *Process) waitForExit() {
	s := p.container.sandbox
	agent := s.guest()
	resp, err := ask(s.life.ctx, agent, "wait for "+p.String(), 0, agent.service.WaitProcess,
		&agentpb.WaitProcessRequest{ContainerId: p.container.id, ExecId: p.guestID})
	switch {
	case err == nil && resp.Status >= 0 && resp.Status <= exitUnknown:
		p.exit(int(resp.Status))
	case err == nil:
		p.container.log().WithField("code", resp.Status).Error("the agent tells an exit code that no process has; reporting 255")
		p.exit(exitUnknown)
	case s.life.over():
		// Not before whoever looks at an ended container can read why it ended.
		<-s.killed
		p.exit(exitKilled)
	default:
		p.container.log().WithError(err).Error("the agent cannot tell how a process ended; reporting 255")
		p.exit(exitUnknown)
	}
}

// SPDX-License-Identifier: Apache-2.0

// Package life is the life cycle that every driver's VM has. A Cycle passes
// through these states:
//
//	created --start--> starting
//	created --stop--> stopped
//	starting --up--> running
//	starting --fail--> stopped
//	running --end--> stopped
//
// A stop that arrives while the VM is starting makes the start fail. Nothing
// leaves stopped.
package life

import (
	"fmt"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// State is where a VM is in its life.
type State string

// The states of the drawing in the package comment.
const (
	Created  State = "created"
	Starting State = "starting"
	Running  State = "running"
	Stopped  State = "stopped"
)

type event string

const (
	start event = "start"
	stop  event = "stop"
	up    event = "up"
	fail  event = "fail"
	end   event = "end"
)

type move struct {
	from State
	on   event
}

// transitions returns the table that the package comment draws.
func transitions() map[move]State {
	return map[move]State{
		{Created, start}: Starting,
		{Created, stop}:  Stopped,
		{Starting, up}:   Running,
		{Starting, fail}: Stopped,
		{Running, end}:   Stopped,
	}
}

// Cycle is one VM's life. It is safe for concurrent use; make one with [New].
type Cycle struct {
	// mu guards what follows.
	mu    sync.Mutex
	state State
	up    chan struct{}
	done  chan struct{}
	exit  hypervisor.Exit
	// stopping says that the owner asked for the end, so it needs no cause.
	stopping bool
}

// New returns a Cycle in [Created].
func New() *Cycle {
	return &Cycle{state: Created, up: make(chan struct{}), done: make(chan struct{})}
}

func (c *Cycle) step(on event) error {
	next, ok := transitions()[move{c.state, on}]
	if !ok {
		return fmt.Errorf("%s a VM that is %s: %w", on, c.state, errdefs.ErrFailedPrecondition)
	}
	c.state = next
	return nil
}

// Begin moves from created to starting. In any other state it is
// errdefs.ErrFailedPrecondition.
func (c *Cycle) Begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.step(start)
}

// Up moves from starting to running. It fails when a stop was asked for
// meanwhile; the caller then tears down and calls Fail.
func (c *Cycle) Up() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return fmt.Errorf("the VM was stopped while it started: %w", errdefs.ErrFailedPrecondition)
	}
	if err := c.step(up); err != nil {
		return err
	}
	close(c.up)
	return nil
}

// Fail moves from starting to stopped, because of e.Cause.
func (c *Cycle) Fail(e hypervisor.Exit) { c.finish(fail, e) }

// End moves from running to stopped. The cause is dropped when [Cycle.Stopping]
// was called before.
func (c *Cycle) End(e hypervisor.Exit) { c.finish(end, e) }

func (c *Cycle) finish(on event, e hypervisor.Exit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.step(on) != nil {
		return
	}
	if c.stopping {
		e.Cause = nil
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	c.exit = e
	close(c.done)
}

// Stopping notes that the owner wants the end, and returns the state that the
// VM was in. A VM that was created only is stopped by it.
func (c *Cycle) Stopping() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.state
	if was != Stopped {
		c.stopping = true
	}
	if c.step(stop) == nil {
		c.exit = hypervisor.Exit{At: time.Now()}
		close(c.done)
	}
	return was
}

// MustRun is nil when the VM runs, otherwise errdefs.ErrFailedPrecondition with
// a sentence that begins with doing, a verb form such as "plug a disk into".
func (c *Cycle) MustRun(doing string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != Running {
		return fmt.Errorf("%s a VM that is %s: %w", doing, c.state, errdefs.ErrFailedPrecondition)
	}
	return nil
}

// State returns the present state.
func (c *Cycle) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Running is closed once the VM runs, and never if it does not get there.
func (c *Cycle) Running() <-chan struct{} { return c.up }

// Done is closed once the VM is stopped.
func (c *Cycle) Done() <-chan struct{} { return c.done }

// Exit is meaningful once Done is closed.
func (c *Cycle) Exit() hypervisor.Exit {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.exit
}

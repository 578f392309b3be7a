// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/agent/cgroup"
)

// Config is what a container is made from.
type Config struct {
	ID string
	// Bundle is the directory of the OCI bundle, with config.json in place.
	Bundle string
	// Spec is what config.json holds.
	Spec *specs.Spec
	// Cgroup is the cgroup that the runtime makes for it.
	Cgroup cgroup.Dir
	// Tokens name the streams of its first process.
	Tokens Tokens
	// PipeSize is the capacity of output pipes in bytes, 0 for the default.
	PipeSize int
	// SharedPID says that the container lives in the pod's PID namespace, where
	// the end of its first process does not end the others.
	SharedPID bool
	// AtExit, if set, runs when the first process has ended, before anybody
	// else knows.
	AtExit func()
	// Release, if set, gives back what was made for the container, when it is
	// removed.
	Release func() error
}

// Container is one container of the guest.
type Container struct {
	id      string
	config  Config
	runtime Runtime
	claimer Claimer

	// calls orders calls of the runtime: execs share it, others have it alone.
	calls sync.RWMutex
	// removed is set, under calls, when Remove has done everything.
	removed bool

	// mu guards what follows. It is taken under calls, never the other way round.
	mu        sync.Mutex
	state     State
	init      *Process
	processes map[string]*Process
}

// New returns a container that is not created yet.
func New(config Config, runtime Runtime, claimer Claimer) *Container {
	return &Container{
		id: config.ID, config: config, runtime: runtime, claimer: claimer,
		state: Creating, processes: map[string]*Process{},
	}
}

// ID returns the container's name.
func (c *Container) ID() string { return c.id }

// Cgroup returns the container's cgroup.
func (c *Container) Cgroup() cgroup.Dir { return c.config.Cgroup }

// Spec returns the specification the container was made from. It is not to be
// changed.
func (c *Container) Spec() *specs.Spec { return c.config.Spec }

// Create makes the container; its first process stands before its program.
func (c *Container) Create(ctx context.Context) error {
	c.calls.Lock()
	defer c.calls.Unlock()
	if err := c.require("create", Creating); err != nil {
		return err
	}
	p, err := newProcess(c.id, c.id, c.config.Spec.Process, c.config, c.config.Tokens)
	if err != nil {
		return err
	}
	started, err := c.runtime.Create(ctx, c.id, c.config.Bundle, p.streams.child)
	if err != nil {
		p.streams.discard()
		return errors.Join(err, c.runtime.Delete(context.WithoutCancel(ctx), c.id, c.config.Bundle))
	}
	c.mu.Lock()
	c.init, c.state = p, Created
	c.mu.Unlock()
	p.begin(started, c.claimer, c.config.Tokens, c.initExited, func() {})
	return errors.Join(setOOMScore(started.PID, c.config.Spec.Process.OOMScoreAdj), schedule(started.PID, c.config.Spec.Process))
}

// initExited runs before the first process's end is known.
func (c *Container) initExited() {
	if c.config.SharedPID {
		if err := c.config.Cgroup.Kill(); err != nil {
			slog.Error("processes of an ended container are left", "container", c.id, "error", err)
		}
	}
	if c.config.AtExit != nil {
		c.config.AtExit()
	}
	c.mu.Lock()
	c.state = Stopped
	c.mu.Unlock()
}

// Start lets the first process run its program.
func (c *Container) Start(ctx context.Context) error {
	c.calls.Lock()
	defer c.calls.Unlock()
	if err := c.require("start", Created); err != nil {
		return err
	}
	refresh(c.config.Spec.Mounts)
	if err := c.runtime.Start(ctx, c.id, c.config.Bundle); err != nil {
		return err
	}
	// A program that has ended already leaves the container stopped.
	if err := c.to(Running); err != nil && c.State() != Stopped {
		return err
	}
	return nil
}

// Pause stops every process of the container until Resume.
func (c *Container) Pause(ctx context.Context) error {
	c.calls.Lock()
	defer c.calls.Unlock()
	if err := c.require("pause", Running); err != nil {
		return err
	}
	if err := c.config.Cgroup.Freeze(ctx); err != nil {
		return err
	}
	return c.to(Paused)
}

// Resume undoes Pause.
func (c *Container) Resume(ctx context.Context) error {
	c.calls.Lock()
	defer c.calls.Unlock()
	if err := c.require("resume", Paused); err != nil {
		return err
	}
	if err := c.config.Cgroup.Thaw(ctx); err != nil {
		return err
	}
	return c.to(Running)
}

// Update changes the container's limits.
func (c *Container) Update(ctx context.Context, r *specs.LinuxResources) error {
	c.calls.Lock()
	defer c.calls.Unlock()
	if r == nil {
		return fmt.Errorf("the request has no resources for container %s: %w", c.id, errdefs.ErrInvalidArgument)
	}
	if err := c.require("update", Created, Running, Paused); err != nil {
		return err
	}
	return c.runtime.Update(ctx, c.id, c.config.Bundle, r)
}

// Process returns a process of the container: its first one for its own name or
// none, otherwise an exec'd one.
func (c *Container) Process(execID string) (*Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.processes[execID]
	if execID == "" || execID == c.id {
		p = c.init
	}
	if p == nil {
		return nil, fmt.Errorf("no process %s in container %s: %w", execID, c.id, errdefs.ErrNotFound)
	}
	return p, nil
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/sizing"
)

// Container is one container of a pod. It is safe for concurrent use.
type Container struct {
	sandbox *Sandbox
	id      string
	bundle  string
	pause   bool // stands for the pod and has nothing in the guest
	hooked  hooked
	// resolvConf is the host's file that is the container's resolv.conf; empty
	// when it has another.
	resolvConf string
	// lastMessage is the host's file for what the container says last, see tell.
	lastMessage string
	init        *Process
	pid         pidMode // guarded by the sandbox's lock
	counted     counted

	// telling guards told, what was written to lastMessage; nothing is taken under it.
	telling sync.Mutex
	told    string

	// mu guards what follows. It is not held during a call to the guest.
	mu      sync.Mutex
	execs   map[string]*Process
	undo    []func(ctx context.Context) error // what it holds on the host, oldest first
	inGuest bool                              // the agent knows it
	keeps   bool                              // what it holds is more than files that it reads
	allowed sizing.Request                    // its limits, as last updated
}

func newContainer(s *Sandbox, id, bundle string) *Container {
	c := &Container{sandbox: s, id: id, bundle: bundle, execs: map[string]*Process{}}
	c.init = newProcess(c, "", id)
	return c
}

// ID names the container, in the guest too.
func (c *Container) ID() string { return c.id }

// Bundle is the container's OCI bundle on the host.
func (c *Container) Bundle() string { return c.bundle }

// IsPause tells whether the container only stands for the pod.
func (c *Container) IsPause() bool { return c.pause }

// Init is the container's first process.
func (c *Container) Init() *Process { return c.init }

// Status is that of the container's first process.
func (c *Container) Status() Status { return c.init.Status() }

// Process returns an exec, or init for an empty id. An unknown one is
// errdefs.ErrNotFound.
func (c *Container) Process(execID string) (*Process, error) {
	if execID == "" {
		return c.init, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.execs[execID]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("exec %s of container %s: %w", execID, c.id, errdefs.ErrNotFound)
}

// Processes returns init and all execs.
func (c *Container) Processes() []*Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Process{c.init}, slices.Collect(maps.Values(c.execs))...)
}

// Start runs the container's first process. Before it runs, interfaces that
// appeared in the pod's network namespace since the pod was started are
// connected, for engines that plug them late.
func (c *Container) Start(ctx context.Context) error { return c.init.Start(ctx) }

// launchInit is how a container's first process is started.
func (c *Container) launchInit(ctx context.Context) error {
	if err := c.sandbox.bindNetwork(ctx); err != nil {
		return err
	}
	if asksDocker(c.resolvConf) {
		c.sandbox.offerNames(ctx)
	}
	agent := c.sandbox.guest()
	_, err := ask(ctx, agent, "start container "+c.id, timeouts.Request, agent.service.StartContainer,
		&agentpb.StartContainerRequest{ContainerId: c.id})
	if err == nil {
		c.runLateHooks(ctx, c.hooked.hooks.Start, specs.StateRunning)
	}
	return err
}

// CloseIO ends the input of a process; of a process without one it does nothing.
func (c *Container) CloseIO(_ context.Context, execID string) error {
	p, err := c.Process(execID)
	if err != nil {
		return err
	}
	if in := p.Stdin(); in != nil {
		if err := in.Close(); err != nil {
			return fmt.Errorf("close the input of %s: %w", p, err)
		}
	}
	return nil
}

// Delete removes the container from the guest and releases what it holds on
// the host. A container that runs is errdefs.ErrFailedPrecondition. When the
// pod is dead only the host's part is left to do. One that holds nothing there but
// files that it read is removed from the guest behind the call.
func (c *Container) Delete(ctx context.Context) error {
	c.init.starting.Lock()
	defer c.init.starting.Unlock()
	if s := c.Status(); s == StatusRunning || s == StatusPaused {
		return fmt.Errorf("delete container %s: it is %s; stop it first: %w", c.id, s, errdefs.ErrFailedPrecondition)
	}
	if c.keepsNothing() && !c.sandbox.life.over() {
		c.exitUnborn()
		c.depart(ctx)
		return nil
	}
	if err := c.removeFromGuest(ctx); err != nil {
		return fmt.Errorf("delete container %s: %w", c.id, err)
	}
	c.exitUnborn()
	c.runLateHooks(ctx, c.hooked.hooks.Stop, specs.StateStopped)
	err := c.release(ctx)
	c.sandbox.forget(c)
	if err != nil {
		return fmt.Errorf("delete container %s: %w", c.id, err)
	}
	return nil
}

// exitUnborn ends processes that never ran, and never will.
func (c *Container) exitUnborn() {
	for _, p := range c.Processes() {
		if p.Status() == StatusCreated {
			p.exit(exitKilled)
		}
	}
}

// removeFromGuest makes the agent forget the container. It is no error when the
// agent, or the whole guest, is gone.
func (c *Container) removeFromGuest(ctx context.Context) error {
	c.mu.Lock()
	known := c.inGuest
	c.mu.Unlock()
	if !known || c.sandbox.life.over() {
		return nil
	}
	agent := c.sandbox.guest()
	_, err := ask(ctx, agent, "remove container "+c.id, timeouts.Request, agent.service.RemoveContainer,
		&agentpb.RemoveContainerRequest{ContainerId: c.id, Timeout: uint32(timeouts.Request.Seconds())})
	if err != nil && !errdefs.IsNotFound(err) && !c.sandbox.life.over() {
		return err
	}
	c.mu.Lock()
	c.inGuest = false
	c.mu.Unlock()
	return nil
}

// hold remembers how to release something on the host.
func (c *Container) hold(undo func(ctx context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.undo, c.keeps = append(c.undo, undo), true
}

// holdReadOnly is hold for a file that the guest only reads, and that whoever made it
// may remove while the VMM has it open.
func (c *Container) holdReadOnly(undo func(ctx context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.undo = append(c.undo, undo)
}

// release undoes what the container did on the host, newest first, and goes on
// after errors. A second call does nothing.
func (c *Container) release(ctx context.Context) error {
	for _, p := range c.Processes() {
		p.closeStreams()
	}
	c.mu.Lock()
	undo := c.undo
	c.undo = nil
	c.mu.Unlock()
	var errs []error
	for _, u := range slices.Backward(undo) {
		errs = append(errs, u(ctx))
	}
	return errors.Join(errs...)
}

// die marks every process of the container as killed.
func (c *Container) die() {
	for _, p := range c.Processes() {
		p.exit(exitKilled)
	}
}

func (c *Container) log() *log.Entry { return c.sandbox.log.WithField("container", c.id) }

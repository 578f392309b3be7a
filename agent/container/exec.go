// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Exec starts another process in the container; when it returns, the process's
// program runs. The container must be running, not paused: a frozen cgroup
// would hold the runtime itself.
func (c *Container) Exec(ctx context.Context, execID string, spec *specs.Process, tokens Tokens) error {
	c.calls.RLock()
	defer c.calls.RUnlock()
	if err := c.require("exec", Created, Running); err != nil {
		return err
	}
	p, err := newProcess(c.id, execID, spec, c.config, tokens)
	if err != nil {
		return err
	}
	if err := c.reserve(execID); err != nil {
		p.streams.discard()
		return err
	}
	var started Started
	err = withScheduling(spec, func() (err error) {
		started, err = c.runtime.Exec(ctx, c.id, c.config.Bundle, spec, p.streams.child)
		return err
	})
	if err != nil {
		p.streams.discard()
		c.drop(execID)
		return err
	}
	score := setOOMScore(started.PID, c.oomScore(spec))
	p.begin(started, c.claimer, tokens, func() {}, func() { c.Forget(execID) })
	c.mu.Lock()
	c.processes[execID] = p
	c.mu.Unlock()
	if score != nil {
		return errors.Join(score, p.Signal(unix.SIGKILL))
	}
	return nil
}

// reserve takes a name for a process; until the process is there, the name
// finds none.
func (c *Container) reserve(execID string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if execID == "" {
		return fmt.Errorf("a process needs an exec_id: %w", errdefs.ErrInvalidArgument)
	}
	if p, taken := c.processes[execID]; execID == c.id || taken && (p == nil || !p.done()) {
		return fmt.Errorf("process %s in container %s: %w", execID, c.id, errdefs.ErrAlreadyExists)
	}
	c.processes[execID] = nil
	return nil
}

func (c *Container) drop(execID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.processes, execID)
}

// Forget removes an exec'd process once its exit code was asked for and its
// output was taken to the end. Before that, and for the first process, it does
// nothing.
func (c *Container) Forget(execID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.processes[execID]; p != nil && p.done() {
		delete(c.processes, execID)
	}
}

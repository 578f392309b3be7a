// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// SignalAll sends a signal to every process of the container. One that has
// none any more is not found, but killing it is no error.
func (c *Container) SignalAll(ctx context.Context, sig unix.Signal) error {
	if sig == unix.SIGKILL {
		return c.config.Cgroup.Kill()
	}
	if err := c.require("signal", Created, Running, Paused); err != nil {
		return err
	}
	if c.State() != Paused {
		// Frozen, none of them can fork past the list.
		if err := c.config.Cgroup.Freeze(ctx); err != nil {
			return err
		}
		defer func() { _ = c.config.Cgroup.Thaw(context.WithoutCancel(ctx)) }()
	}
	pids, err := c.config.Cgroup.Procs()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("send signal %d to a process of container %s: %w", int(sig), c.id, err)
		}
	}
	return nil
}

// Remove kills what runs in the container, removes it from the runtime and
// gives back what was made for it. The first process's end stays known to those
// who wait for it. It may be called again, after an error and after another call
// that was faster: the end of the sandbox and the removal of its container come
// together at times.
func (c *Container) Remove(ctx context.Context) error {
	// Before the lock: a runtime call that hangs on the container ends by this.
	if err := c.config.Cgroup.Kill(); err != nil {
		return err
	}
	c.calls.Lock()
	defer c.calls.Unlock()
	if c.removed {
		return nil
	}
	if err := c.runtime.Delete(ctx, c.id, c.config.Bundle); err != nil {
		return err
	}
	if err := c.awaitInit(ctx); err != nil {
		return err
	}
	if c.config.Release != nil {
		if err := c.config.Release(); err != nil {
			return fmt.Errorf("give back what container %s used: %w", c.id, err)
		}
	}
	c.forgetAll()
	if err := os.RemoveAll(c.config.Bundle); err != nil {
		return fmt.Errorf("remove the bundle of container %s: %w", c.id, err)
	}
	c.removed = true
	return nil
}

func (c *Container) awaitInit(ctx context.Context) error {
	c.mu.Lock()
	p := c.init
	c.mu.Unlock()
	if p == nil {
		return nil
	}
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of container %s: %w", c.id, context.Cause(ctx))
	}
}

// forgetAll closes the streams that calls would have read. Those with
// connections of their own end by themselves, after their last byte; a connection that
// has not come is not waited for any more.
func (c *Container) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []*Process{c.init}
	for _, p := range c.processes {
		all = append(all, p)
	}
	for _, p := range all {
		switch {
		case p == nil:
		case p.byCalls:
			p.streams.discard()
		default:
			p.stopWaiting()
		}
	}
	c.processes = map[string]*Process{}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/sizing"
	"github.com/katapod/katapod/sandbox/spec"
)

// Kill sends a signal to init (empty execID), to an exec, or to every process
// of the container (all). A process that has ended is errdefs.ErrNotFound, an
// exec that was not started errdefs.ErrFailedPrecondition.
func (c *Container) Kill(ctx context.Context, execID string, signal uint32, all bool) error {
	p, err := c.Process(execID)
	if err != nil {
		return err
	}
	switch status := p.Status(); {
	case status == StatusStopped:
		return fmt.Errorf("signal %s: process already finished: %w", p, errdefs.ErrNotFound)
	case status == StatusCreated && execID != "":
		return fmt.Errorf("signal %s: it was not started: %w", p, errdefs.ErrFailedPrecondition)
	case c.pause:
		p.signalPause(signal)
		return nil
	}
	p.await() // an init that was not started can be killed
	target := p.guestID
	if all {
		target = ""
	}
	agent := c.sandbox.guest()
	_, err = ask(ctx, agent, fmt.Sprintf("send signal %d to %s", signal, p), timeouts.Signal, agent.service.SignalProcess,
		&agentpb.SignalProcessRequest{ContainerId: c.id, ExecId: target, Signal: signal})
	if err != nil && c.sandbox.life.over() {
		return fmt.Errorf("signal %s: its pod has ended: %w", p, errdefs.ErrNotFound)
	}
	return err
}

// Pause freezes the container's processes.
func (c *Container) Pause(ctx context.Context) error {
	return c.freeze(ctx, onPause, func(ctx context.Context, a *agentClient) error {
		_, err := ask(ctx, a, "pause container "+c.id, timeouts.Request, a.service.PauseContainer,
			&agentpb.PauseContainerRequest{ContainerId: c.id})
		return err
	})
}

// Resume thaws a container that was paused.
func (c *Container) Resume(ctx context.Context) error {
	return c.freeze(ctx, onResume, func(ctx context.Context, a *agentClient) error {
		_, err := ask(ctx, a, "resume container "+c.id, timeouts.Request, a.service.ResumeContainer,
			&agentpb.ResumeContainerRequest{ContainerId: c.id})
		return err
	})
}

func (c *Container) freeze(ctx context.Context, on string, do func(context.Context, *agentClient) error) error {
	if err := c.refusePause(on); err != nil {
		return err
	}
	c.init.starting.Lock()
	defer c.init.starting.Unlock()
	if _, err := next(processTransitions(), c.init.String(), c.Status(), on); err != nil {
		return err
	}
	if err := do(ctx, c.sandbox.guest()); err != nil {
		return err
	}
	return c.init.move(on)
}

// Update changes the container's limits in the guest. The VM gets more memory first if
// it needs it; more than it can have is errdefs.ErrFailedPrecondition.
func (c *Container) Update(ctx context.Context, r *specs.LinuxResources) error {
	if err := c.refusePause("update"); err != nil {
		return err
	}
	if c.Status() == StatusStopped {
		return fmt.Errorf("update container %s: it is stopped: %w", c.id, errdefs.ErrFailedPrecondition)
	}
	resources, err := spec.ResourcesToGuest(r, c.sandbox.size().VCPUs)
	if err != nil {
		return fmt.Errorf("update container %s: %w", c.id, err)
	}
	agent := c.sandbox.guest()
	req := &agentpb.UpdateContainerRequest{ContainerId: c.id}
	if err := agent.setResources(req, resources); err != nil {
		return fmt.Errorf("update container %s: %w", c.id, err)
	}
	defer c.counted.forget() // limits are among them
	before := c.allowance()
	c.setAllowance(sizing.FromSpec(&specs.Spec{Linux: &specs.Linux{Resources: r}}).Merge(before))
	if err = c.sandbox.needMemory(ctx); err != nil {
		err = fmt.Errorf("update container %s: %w", c.id, err)
	} else {
		_, err = ask(ctx, agent, "update container "+c.id, timeouts.Request, agent.service.UpdateContainer, req)
	}
	if err != nil {
		c.setAllowance(before)
	}
	return err
}

// Pids are the host's, and processes of a guest have none there: while init runs it
// is the VMM's pid that stands for all. The guest's own pids would be those of
// strangers to who looks them up on the host, as docker top does with ps(1).
func (c *Container) Pids(context.Context) ([]int, error) {
	if s := c.Status(); s != StatusRunning && s != StatusPaused {
		return nil, nil
	}
	return []int{c.sandbox.PID()}, nil
}

// refusePause says that the container that stands for the pod cannot do it.
func (c *Container) refusePause(what string) error {
	if !c.pause {
		return nil
	}
	return fmt.Errorf("%s container %s: it stands for the pod and has nothing in the guest: %w", what, c.id, errdefs.ErrNotImplemented)
}

// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Kill sends a signal. It takes no lock: a process must be killable while
// anything else about its container hangs. Engines take NotFound for a process
// that has ended.
func (s *Service) Kill(ctx context.Context, r *taskapi.KillRequest) (*empty, error) {
	c, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	switch status := p.now().status; {
	case status == task.Status_STOPPED:
		return nil, fmt.Errorf("signal %s: process already finished: %w", p, errdefs.ErrNotFound)
	case status == task.Status_CREATED && p.execID != "":
		return nil, fmt.Errorf("signal %s: it was not started: %w", p, errdefs.ErrFailedPrecondition)
	}
	if r.Signal == uint32(unix.SIGKILL) {
		c.shoot()
	}
	if err := c.guest.Kill(ctx, r.ExecID, r.Signal, r.All); err != nil {
		return nil, err
	}
	return &empty{}, nil
}

// Pause freezes all processes of a container.
func (s *Service) Pause(ctx context.Context, r *taskapi.PauseRequest) (*empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	c.order.Lock()
	defer c.order.Unlock()
	if err := c.init().require("pause", task.Status_RUNNING); err != nil {
		return nil, err
	}
	if err := c.guest.Pause(ctx); err != nil {
		return nil, err
	}
	if c.init().move(task.Status_PAUSED) {
		s.Events.Publish(&events.TaskPaused{ContainerID: c.id})
	}
	return &empty{}, nil
}

// Resume lets a paused container go on.
func (s *Service) Resume(ctx context.Context, r *taskapi.ResumeRequest) (*empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	c.order.Lock()
	defer c.order.Unlock()
	if err := c.init().require("resume", task.Status_PAUSED); err != nil {
		return nil, err
	}
	if err := c.guest.Resume(ctx); err != nil {
		return nil, err
	}
	if c.init().move(task.Status_RUNNING) {
		s.Events.Publish(&events.TaskResumed{ContainerID: c.id})
	}
	return &empty{}, nil
}

// Update changes the limits of a container.
func (s *Service) Update(ctx context.Context, r *taskapi.UpdateTaskRequest) (*empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	resources, err := decode[specs.LinuxResources](r.Resources, "LinuxResources")
	if err != nil {
		return nil, err
	}
	c.order.Lock()
	defer c.order.Unlock()
	if err := c.init().require("update", task.Status_CREATED, task.Status_RUNNING, task.Status_PAUSED); err != nil {
		return nil, err
	}
	if err := c.guest.Update(ctx, resources); err != nil {
		return nil, err
	}
	return &empty{}, nil
}

// ResizePty sets the size of a terminal, before the start as well: a program
// finds the size that was asked for last when it looks for the first time.
func (s *Service) ResizePty(ctx context.Context, r *taskapi.ResizePtyRequest) (*empty, error) {
	_, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	if !p.paths.Terminal {
		return nil, fmt.Errorf("resize the terminal of %s: it has none: %w", p, errdefs.ErrFailedPrecondition)
	}
	if err := p.guest.Resize(ctx, r.Width, r.Height); err != nil {
		return nil, err
	}
	return &empty{}, nil
}

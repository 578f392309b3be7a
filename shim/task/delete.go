// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/log"

	"github.com/katapod/katapod/shim/podkind"
)

// Delete forgets a process that has ended, or never ran. With the container that
// stands for a pod, and with a lone one, the VM goes.
func (s *Service) Delete(ctx context.Context, r *taskapi.DeleteRequest) (*taskapi.DeleteResponse, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	c.order.Lock()
	defer c.order.Unlock()
	_, p, err := s.process(r.ID, r.ExecID) // another Delete may have been faster
	if err != nil {
		return nil, err
	}
	if err := p.require("delete", task.Status_CREATED, task.Status_STOPPED); err != nil {
		return nil, err
	}
	if p.execID == "" {
		err = s.deleteContainer(ctx, c, p)
	} else {
		err = s.deleteExec(ctx, c, p)
	}
	if err != nil {
		return nil, err
	}
	now := p.now()
	return &taskapi.DeleteResponse{Pid: now.pid, ExitStatus: now.code, ExitedAt: now.at()}, nil
}

func (s *Service) deleteContainer(ctx context.Context, c *container, p *process) error {
	p.markDeleted()
	if c.kind != podkind.Member {
		s.endPod(ctx) // the guest need not clear up what goes with it
	}
	if err := c.guest.Delete(ctx); err != nil {
		return err
	}
	for _, each := range c.all() {
		if err := s.leave(ctx, each); err != nil {
			return err
		}
	}
	s.forget(c.id)
	now := p.now()
	s.Events.Publish(&events.TaskDelete{
		ContainerID: c.id, ID: c.id, Pid: now.pid, ExitStatus: now.code, ExitedAt: now.at(),
	})
	return nil
}

func (s *Service) deleteExec(ctx context.Context, c *container, p *process) error {
	p.markDeleted()
	if err := c.guest.DeleteExec(p.execID); err != nil {
		return err
	}
	if err := s.leave(ctx, p); err != nil {
		return err
	}
	c.remove(p.execID)
	return nil
}

// leave waits until the exit of a process that is being deleted is recorded and
// closes its streams. An exec that outlived its container may still be ending;
// nobody asks for it any more.
func (s *Service) leave(ctx context.Context, p *process) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		return fmt.Errorf("delete %s: its exit is not recorded yet: %w", p, context.Cause(ctx))
	}
	if err := p.streams.Close(); err != nil {
		log.G(ctx).WithError(err).WithField("container", p.container).Warn("streams of a deleted process")
	}
	return nil
}

func (p *process) markDeleted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deleted = true
}

func (p *process) isDeleted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deleted
}

// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/log"
	"google.golang.org/protobuf/proto"
)

// Start runs a process that was created.
func (s *Service) Start(ctx context.Context, r *taskapi.StartRequest) (*taskapi.StartResponse, error) {
	c, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	if p.execID == "" {
		c.order.Lock()
		defer c.order.Unlock()
	}
	if err := s.start(ctx, p); err != nil {
		log.G(ctx).WithError(err).WithField("container", c.id).Error("the process was not started")
		return nil, err
	}
	return &taskapi.StartResponse{Pid: p.now().pid}, nil
}

// start runs the process and publishes that, before anybody can publish its
// exit.
func (s *Service) start(ctx context.Context, p *process) error {
	p.starting.Lock()
	defer p.starting.Unlock()
	if err := p.require("start", task.Status_CREATED); err != nil {
		return err
	}
	if err := p.run(ctx); err != nil {
		if p.execID != "" {
			// An engine waits for the end of an output that nobody will write to,
			// and deletes the exec only then: containerd's client does.
			err = errors.Join(err, p.streams.Close())
		}
		return err
	}
	pid := s.Pod.PID()
	p.mu.Lock()
	p.pid, p.status = pid, task.Status_RUNNING
	p.mu.Unlock()
	s.Events.Publish(p.started(pid))
	return nil
}

// run has the guest run the process, and connects what it has of streams now.
func (p *process) run(ctx context.Context) error {
	if err := p.streams.OpenInput(); err != nil {
		return fmt.Errorf("start %s: %w", p, err)
	}
	if err := p.guest.Start(ctx); err != nil {
		return err
	}
	if p.execID != "" {
		p.attach() // that of an init was done by Create
	}
	p.streams.Feed(p.guest.Stdin())
	return nil
}

// started is the event of a process that runs.
func (p *process) started(pid uint32) proto.Message {
	if p.execID == "" {
		return &events.TaskStart{ContainerID: p.container, Pid: pid}
	}
	return &events.TaskExecStarted{ContainerID: p.container, ExecID: p.execID, Pid: pid}
}

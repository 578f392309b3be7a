// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"time"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/log"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/shim/podkind"
)

// watch records the exit of a process. When the container that stands for a pod
// ends, the pod ends first: engines take the network namespace away as soon as
// they hear of the exit. The exits of execs come before that of their container. A
// lone container's VM ends behind its exit.
func (s *Service) watch(ctx context.Context, c *container, p *process) {
	<-p.guest.Done()
	p.settleStart()
	if p.execID == "" && c.kind == podkind.Sandbox {
		s.endPod(ctx)
	}
	p.streams.Drain()
	s.awaitOOM(c, p)
	if p.execID == "" {
		c.awaitExecs()
	}
	s.recordExit(ctx, p)
	if p.execID == "" && c.kind == podkind.Lone {
		s.endPod(ctx)
	}
}

// awaitExecs waits until the ends of the execs that run are recorded. They end with
// their container, and engines forget them when they hear of its end.
func (c *container) awaitExecs() {
	timer := time.NewTimer(timeouts.Execs)
	defer timer.Stop()
	for _, p := range c.all() {
		if p.execID == "" || p.now().status != task.Status_RUNNING {
			continue
		}
		select {
		case <-p.done:
		case <-timer.C:
			return
		}
	}
}

// settleStart waits until a start that is under way has connected the streams.
func (p *process) settleStart() {
	p.starting.Lock()
	defer p.starting.Unlock()
}

// recordExit changes the state and publishes the exit in one step, so that a
// Delete that sees the state publishes after it. An exec that never ran has no exit
// to tell.
func (s *Service) recordExit(ctx context.Context, p *process) {
	p.starting.Lock()
	defer p.starting.Unlock()
	defer close(p.done)
	code, at := p.guest.ExitStatus()
	p.mu.Lock()
	defer p.mu.Unlock()
	neverRan := p.status == task.Status_CREATED && p.execID != ""
	p.status, p.code, p.exitedAt = task.Status_STOPPED, uint32(code), at
	if neverRan {
		return
	}
	log.G(ctx).WithField("process", p.id()).WithField("code", code).Info("process ended")
	s.Events.Publish(&events.TaskExit{
		ContainerID: p.container, ID: p.id(), Pid: p.pid, ExitStatus: uint32(code), ExitedAt: timestamppb.New(at),
	})
}

// endPod stops the VM and releases what the pod has. What remains is in the
// ledger, from which the delete action works.
func (s *Service) endPod(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Stop)
	defer cancel()
	if err := s.Pod.End(ctx); err != nil {
		log.G(ctx).WithError(err).Error("the pod did not end cleanly; the delete action releases the rest")
	}
}

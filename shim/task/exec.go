// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/shim/stdio"
)

// Exec adds a process to a container that runs; Start runs it.
func (s *Service) Exec(ctx context.Context, r *taskapi.ExecProcessRequest) (*empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	if r.ExecID == "" {
		return nil, fmt.Errorf("exec in container %s: the exec id is empty: %w", r.ID, errdefs.ErrInvalidArgument)
	}
	spec, err := decode[specs.Process](r.Spec, "Process")
	if err != nil {
		return nil, err
	}
	c.order.Lock()
	defer c.order.Unlock()
	if err := c.init().require("exec in", task.Status_RUNNING); err != nil {
		return nil, err
	}
	if _, err := c.process(r.ExecID); err == nil {
		return nil, fmt.Errorf("exec %s of container %s: %w", r.ExecID, r.ID, errdefs.ErrAlreadyExists)
	}
	p, err := s.addExec(ctx, c, r, spec)
	if err != nil {
		return nil, err
	}
	s.Events.Publish(&events.TaskExecAdded{ContainerID: c.id, ExecID: p.execID})
	ctx = log.WithLogger(ctx, log.G(ctx).WithField("container", c.id))
	// It is the process's, and ends with it, or with the pod.
	go s.watch(context.WithoutCancel(ctx), c, p)
	return &empty{}, nil
}

func (s *Service) addExec(ctx context.Context, c *container, r *taskapi.ExecProcessRequest, spec *specs.Process) (*process, error) {
	paths := stdio.Paths{Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr, Terminal: r.Terminal}
	p := newProcess(c.id, r.ExecID, paths, 0)
	var err error
	if p.streams, err = stdio.Open(ctx, paths, s.Namespace, c.id); err != nil {
		return nil, err
	}
	p.guest, err = c.guest.Exec(ctx, sandbox.ExecOptions{
		ID: r.ExecID, Process: spec, Terminal: r.Terminal,
		Stdin: paths.HasStdin(), Stdout: paths.HasStdout(), Stderr: paths.HasStderr(),
	})
	if err != nil {
		return nil, errors.Join(err, p.streams.Close())
	}
	c.add(p)
	return p, nil
}

// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/katapod/katapod/agent/container"
	"github.com/katapod/katapod/agent/ocispec"
	"github.com/katapod/katapod/protocols/agentpb"
)

// StartContainer lets a created container's program run.
func (s *Service) StartContainer(ctx context.Context, r *agentpb.StartContainerRequest) (*emptypb.Empty, error) {
	return s.with(r.ContainerId, func(c *container.Container) error { return c.Start(ctx) })
}

// RemoveContainer kills what runs in a container and removes it, within the
// request's timeout in seconds; 0 is as long as it takes.
func (s *Service) RemoveContainer(ctx context.Context, r *agentpb.RemoveContainerRequest) (*emptypb.Empty, error) {
	if r.Timeout > 0 {
		limit := time.Duration(r.Timeout) * time.Second
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %s: %w", limit, context.DeadlineExceeded))
		defer cancel()
	}
	return s.with(r.ContainerId, func(c *container.Container) error { return s.remove(ctx, c) })
}

func (s *Service) remove(ctx context.Context, c *container.Container) error {
	if err := c.Remove(ctx); err != nil {
		return err
	}
	s.OOM.Forget(c.ID())
	s.containers.Drop(c.ID())
	return nil
}

// PauseContainer stops every process of a container.
func (s *Service) PauseContainer(ctx context.Context, r *agentpb.PauseContainerRequest) (*emptypb.Empty, error) {
	return s.with(r.ContainerId, func(c *container.Container) error { return c.Pause(ctx) })
}

// ResumeContainer lets them go on.
func (s *Service) ResumeContainer(ctx context.Context, r *agentpb.ResumeContainerRequest) (*emptypb.Empty, error) {
	return s.with(r.ContainerId, func(c *container.Container) error { return c.Resume(ctx) })
}

// UpdateContainer changes a container's limits.
func (s *Service) UpdateContainer(ctx context.Context, r *agentpb.UpdateContainerRequest) (*emptypb.Empty, error) {
	return s.with(r.ContainerId, func(c *container.Container) error {
		limits, err := ocispec.Resources(r.Resources, r.ResourcesJson)
		if err != nil {
			return err
		}
		return c.Update(ctx, limits)
	})
}

// GetOOMEvent waits for the next kill by the OOM killer and returns the name of
// the container it was in.
func (s *Service) GetOOMEvent(ctx context.Context, _ *agentpb.GetOOMEventRequest) (*agentpb.OOMEvent, error) {
	id, err := s.OOM.Next(ctx)
	if err != nil {
		return nil, err
	}
	return &agentpb.OOMEvent{ContainerId: id}, nil
}

// with runs f for a container and answers with nothing.
func (s *Service) with(id string, f func(*container.Container) error) (*emptypb.Empty, error) {
	c, err := s.containers.Get(id)
	if err != nil {
		return nil, err
	}
	if err := f(c); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/katapod/katapod/agent/container"
	"github.com/katapod/katapod/agent/ocispec"
	"github.com/katapod/katapod/protocols/agentpb"
)

// ExecProcess starts another process in a container.
func (s *Service) ExecProcess(ctx context.Context, r *agentpb.ExecProcessRequest) (*emptypb.Empty, error) {
	return s.with(r.ContainerId, func(c *container.Container) error {
		p, err := ocispec.Process(r.Process, r.ProcessJson)
		if err != nil {
			return err
		}
		if err := setUser(p, r.StringUser); err != nil {
			return err
		}
		g := ocispec.Guest{AppArmor: hasLSM("apparmor"), SELinux: hasLSM("selinux")}
		if err := g.CheckProcess(p); err != nil {
			return err
		}
		ocispec.GiveHome(c.Spec(), p)
		return c.Exec(ctx, r.ExecId, p, tokens(r))
	})
}

// SignalProcess sends a signal to one process, or without exec_id to every
// process of the container.
func (s *Service) SignalProcess(ctx context.Context, r *agentpb.SignalProcessRequest) (*emptypb.Empty, error) {
	if r.Signal > 64 {
		return nil, fmt.Errorf("%d is no signal: %w", r.Signal, errdefs.ErrInvalidArgument)
	}
	return s.with(r.ContainerId, func(c *container.Container) error {
		if r.ExecId == "" {
			return c.SignalAll(ctx, unix.Signal(r.Signal))
		}
		p, err := c.Process(r.ExecId)
		if err != nil {
			return err
		}
		return p.Signal(unix.Signal(r.Signal))
	})
}

// WaitProcess waits for a process's end and returns its exit code, 128 plus the
// signal's number for a process that a signal ended.
func (s *Service) WaitProcess(ctx context.Context, r *agentpb.WaitProcessRequest) (*agentpb.WaitProcessResponse, error) {
	c, p, err := s.process(r)
	if err != nil {
		return nil, err
	}
	status, err := p.Wait(ctx)
	if err != nil {
		return nil, err
	}
	c.Forget(r.ExecId)
	return &agentpb.WaitProcessResponse{Status: int32(status)}, nil
}

// TtyWinResize sets the size of a process's terminal.
func (s *Service) TtyWinResize(_ context.Context, r *agentpb.TtyWinResizeRequest) (*emptypb.Empty, error) {
	_, p, err := s.process(r)
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, p.Resize(r.Row, r.Column)
}

// WriteStdin gives bytes to a process; no bytes close its standard input.
func (s *Service) WriteStdin(ctx context.Context, r *agentpb.WriteStreamRequest) (*agentpb.WriteStreamResponse, error) {
	_, p, err := s.process(r)
	if err != nil {
		return nil, err
	}
	n, err := p.WriteStdin(ctx, r.Data)
	if err != nil {
		return nil, err
	}
	return &agentpb.WriteStreamResponse{Len: uint32(n)}, nil
}

// CloseStdin ends a process's standard input.
func (s *Service) CloseStdin(_ context.Context, r *agentpb.CloseStdinRequest) (*emptypb.Empty, error) {
	_, p, err := s.process(r)
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, p.CloseStdin()
}

// ReadStdout returns the next bytes of a process's output; none at its end.
func (s *Service) ReadStdout(ctx context.Context, r *agentpb.ReadStreamRequest) (*agentpb.ReadStreamResponse, error) {
	return s.read(r, func(p *container.Process) ([]byte, error) { return p.ReadStdout(ctx, r.Len) })
}

// ReadStderr is ReadStdout for the error output.
func (s *Service) ReadStderr(ctx context.Context, r *agentpb.ReadStreamRequest) (*agentpb.ReadStreamResponse, error) {
	return s.read(r, func(p *container.Process) ([]byte, error) { return p.ReadStderr(ctx, r.Len) })
}

func (s *Service) read(r *agentpb.ReadStreamRequest, f func(*container.Process) ([]byte, error)) (*agentpb.ReadStreamResponse, error) {
	c, p, err := s.process(r)
	if err != nil {
		return nil, err
	}
	data, err := f(p)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		c.Forget(r.ExecId)
	}
	return &agentpb.ReadStreamResponse{Data: data}, nil
}

// processNamer is a request about one process.
type processNamer interface {
	GetContainerId() string
	GetExecId() string
}

func (s *Service) process(r processNamer) (*container.Container, *container.Process, error) {
	c, err := s.containers.Get(r.GetContainerId())
	if err != nil {
		return nil, nil, err
	}
	p, err := c.Process(r.GetExecId())
	if err != nil {
		return nil, nil, err
	}
	return c, p, nil
}

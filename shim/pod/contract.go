// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"io"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/hostcgroup"
	"github.com/katapod/katapod/sandbox/sizing"
)

// Sandbox is a pod's VM; the methods are those of sandbox.Sandbox.
type Sandbox interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Done() <-chan struct{}
	PID() int
	State() sandbox.State
	StartedAt() time.Time
	EndedAt() time.Time
	Failure() *sandbox.Failure
	Info() map[string]string
	Options() sandbox.Options
	OOMEvents() <-chan string
	Stats(ctx context.Context) (hostcgroup.Stats, error)
	Update(ctx context.Context, r sizing.Request) error
	CreateContainer(ctx context.Context, o sandbox.ContainerOptions) (Container, error)
	CreatePause(id, bundle string) (Container, error)
}

// Container is one container of it; the methods are those of sandbox.Container.
type Container interface {
	Init() Process
	Exec(ctx context.Context, o sandbox.ExecOptions) (Process, error)
	Kill(ctx context.Context, execID string, signal uint32, all bool) error
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	Update(ctx context.Context, r *specs.LinuxResources) error
	Stats(ctx context.Context) (*agentpb.StatsContainerResponse, error)
	Pids(ctx context.Context) ([]int, error)
	Delete(ctx context.Context) error
	DeleteExec(execID string) error
}

// Process is a process of a container; the methods are those of sandbox.Process.
type Process interface {
	Start(ctx context.Context) error
	Stdin() io.WriteCloser
	Stdout() io.ReadCloser
	Stderr() io.ReadCloser
	Resize(ctx context.Context, width, height uint32) error
	Done() <-chan struct{}
	ExitStatus() (code int, at time.Time)
}

// Factory makes a sandbox that is not started.
type Factory func(o sandbox.Options) (Sandbox, error)

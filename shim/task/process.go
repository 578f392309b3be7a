// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"fmt"
	"sync"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/katapod/katapod/shim/pod"
	"github.com/katapod/katapod/shim/stdio"
)

// process is an init or an exec.
type process struct {
	container, execID string
	paths             stdio.Paths
	streams           *stdio.Streams
	guest             pod.Process
	// starting is held while the process is started, and while its exit is
	// recorded, so that no exit overtakes the start.
	starting sync.Mutex
	// done is closed when the exit is recorded and published.
	done chan struct{}

	// mu guards what follows. It is taken under starting.
	mu       sync.Mutex
	status   task.Status
	pid      uint32
	code     uint32
	exitedAt time.Time
	deleted  bool
}

func newProcess(container, execID string, paths stdio.Paths, pid uint32) *process {
	return &process{
		container: container, execID: execID, paths: paths, pid: pid,
		status: task.Status_CREATED, done: make(chan struct{}),
	}
}

// id is what events call the process.
func (p *process) id() string {
	if p.execID == "" {
		return p.container
	}
	return p.execID
}

func (p *process) String() string {
	if p.execID == "" {
		return "container " + p.container
	}
	return fmt.Sprintf("exec %s of container %s", p.execID, p.container)
}

// snapshot is what a process is at one moment.
type snapshot struct {
	status    task.Status
	pid, code uint32
	exitedAt  time.Time
}

func (p *process) now() snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return snapshot{p.status, p.pid, p.code, p.exitedAt}
}

// at is the protobuf form of the time of exit, nil while there is none.
func (s snapshot) at() *timestamppb.Timestamp {
	if s.exitedAt.IsZero() {
		return nil
	}
	return timestamppb.New(s.exitedAt)
}

// require fails with errdefs.ErrFailedPrecondition unless the status is one of
// those.
func (p *process) require(what string, allowed ...task.Status) error {
	status := p.now().status
	for _, s := range allowed {
		if s == status {
			return nil
		}
	}
	return fmt.Errorf("cannot %s %s: it is %s: %w", what, p, name(status), errdefs.ErrFailedPrecondition)
}

// move sets the status, unless the process has ended meanwhile.
func (p *process) move(to task.Status) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status == task.Status_STOPPED {
		return false
	}
	p.status = to
	return true
}

// name is a status as people write it.
func name(s task.Status) string {
	switch s {
	case task.Status_CREATED:
		return "created"
	case task.Status_RUNNING:
		return "running"
	case task.Status_PAUSED:
		return "paused"
	case task.Status_STOPPED:
		return "stopped"
	default:
		return "in an unknown state"
	}
}

// State answers from memory.
func (s *Service) State(_ context.Context, r *taskapi.StateRequest) (*taskapi.StateResponse, error) {
	c, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	now := p.now()
	return &taskapi.StateResponse{
		ID: c.id, ExecID: p.execID, Bundle: c.bundle, Pid: now.pid, Status: now.status,
		Stdin: p.paths.Stdin, Stdout: p.paths.Stdout, Stderr: p.paths.Stderr, Terminal: p.paths.Terminal,
		ExitStatus: now.code, ExitedAt: now.at(),
	}, nil
}

// Wait returns when the exit of a process is recorded. A process that is
// deleted before it ever ran ends as well.
func (s *Service) Wait(ctx context.Context, r *taskapi.WaitRequest) (*taskapi.WaitResponse, error) {
	_, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for %s: %w", p, context.Cause(ctx))
	}
	now := p.now()
	return &taskapi.WaitResponse{ExitStatus: now.code, ExitedAt: now.at()}, nil
}

// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/shim/sandboxapi/sandboxpb"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/shim/pod"
)

// Setup is what a service needs from the process it runs in; see task.Setup.
type Setup struct {
	Namespace  string
	ConfigPath string
	Configure  func(ctx context.Context, annotations map[string]string, option string) (config.Config, error)
	Pod        *pod.Pod
	Shutdown   func()
}

// Service is the Sandbox service of one shim. It is safe for concurrent use.
type Service struct {
	Setup

	// mu guards what follows. It is not held during a call to the pod.
	mu       sync.Mutex
	creating bool
	plan     *plan
	said     said
	stopped  bool
	// over is closed when the sandbox has ended; endedAt is set by then.
	over    chan struct{}
	endedAt time.Time
	code    uint32
}

// plan is a sandbox that was created.
type plan struct {
	options   sandbox.Options
	mounts    []specs.Mount
	createdAt time.Time
}

// New returns a service without a sandbox.
func New(s Setup) *Service { return &Service{Setup: s, over: make(chan struct{})} }

// created returns the sandbox of that id, or errdefs.ErrNotFound.
func (s *Service) created(id string) (*plan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plan == nil || s.plan.options.ID != id {
		return nil, fmt.Errorf("sandbox %s: %w", id, errdefs.ErrNotFound)
	}
	return s.plan, nil
}

// CreateSandbox reads what the sandbox is to be. Nothing is started yet, but
// what can be refused is refused now.
func (s *Service) CreateSandbox(ctx context.Context, r *sandboxpb.CreateSandboxRequest) (*sandboxpb.CreateSandboxResponse, error) {
	if err := s.claim(r.SandboxId); err != nil {
		return nil, err
	}
	p, words, err := s.design(ctx, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.creating = false
	if err != nil {
		return nil, pod.Refused(r.SandboxId, s.Namespace, r.BundlePath, err)
	}
	s.plan, s.said = p, words
	return &sandboxpb.CreateSandboxResponse{}, nil
}

// claim keeps a second CreateSandbox from touching the files of the first.
func (s *Service) claim(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.plan != nil:
		return fmt.Errorf("sandbox %s: this shim has the sandbox %s already: %w", id, s.plan.options.ID, errdefs.ErrAlreadyExists)
	case s.creating:
		return fmt.Errorf("sandbox %s: this shim is making a sandbox already: %w", id, errdefs.ErrAlreadyExists)
	}
	s.creating = true
	return nil
}

// StartSandbox boots the VM. One that was not created is
// errdefs.ErrFailedPrecondition.
func (s *Service) StartSandbox(ctx context.Context, r *sandboxpb.StartSandboxRequest) (*sandboxpb.StartSandboxResponse, error) {
	p, err := s.startable(r.SandboxId)
	if err != nil {
		return nil, err
	}
	vm, err := s.Pod.Begin(ctx, p.options, p.mounts...)
	if err != nil {
		return nil, err
	}
	// It ends with the pod.
	go s.follow(vm)
	if s.wasStopped() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Stop)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("start sandbox %s: it was stopped meanwhile: %w", r.SandboxId, errdefs.ErrFailedPrecondition),
			s.Pod.End(ending))
	}
	return &sandboxpb.StartSandboxResponse{Pid: uint32(vm.PID()), CreatedAt: stamp(p.createdAt)}, nil
}

func (s *Service) startable(id string) (*plan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.plan == nil:
		return nil, fmt.Errorf("start sandbox %s: it was not created: %w", id, errdefs.ErrFailedPrecondition)
	case s.plan.options.ID != id:
		return nil, fmt.Errorf("sandbox %s: %w", id, errdefs.ErrNotFound)
	case s.stopped:
		return nil, fmt.Errorf("start sandbox %s: it was stopped: %w", id, errdefs.ErrFailedPrecondition)
	}
	return s.plan, nil
}

// follow records the end of a sandbox: 0 when it was asked for, 137 when the VM
// died.
func (s *Service) follow(vm pod.Sandbox) {
	<-vm.Done()
	code := uint32(exitKilled)
	if s.wasStopped() {
		code = 0
	}
	s.end(code, vm.EndedAt())
}

func (s *Service) wasStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// exitKilled is 128 + SIGKILL.
const exitKilled = 137

// end records the end once.
func (s *Service) end(code uint32, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.over:
	default:
		s.code, s.endedAt = code, at
		close(s.over)
	}
}

// StopSandbox ends the VM; it may be called again.
func (s *Service) StopSandbox(ctx context.Context, r *sandboxpb.StopSandboxRequest) (*sandboxpb.StopSandboxResponse, error) {
	if _, err := s.created(r.SandboxId); err != nil {
		return nil, err
	}
	if r.TimeoutSecs > 0 {
		bounded, cancel := context.WithTimeout(ctx, time.Duration(r.TimeoutSecs)*time.Second)
		defer cancel()
		ctx = bounded
	}
	if err := s.stop(ctx); err != nil {
		return nil, err
	}
	return &sandboxpb.StopSandboxResponse{}, nil
}

func (s *Service) stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	if err := s.Pod.End(ctx); err != nil {
		return err
	}
	s.end(0, time.Now()) // one that never started
	return nil
}

// WaitSandbox returns when the sandbox has ended.
func (s *Service) WaitSandbox(ctx context.Context, r *sandboxpb.WaitSandboxRequest) (*sandboxpb.WaitSandboxResponse, error) {
	if _, err := s.created(r.SandboxId); err != nil {
		return nil, err
	}
	select {
	case <-s.over:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for sandbox %s: %w", r.SandboxId, context.Cause(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &sandboxpb.WaitSandboxResponse{ExitStatus: s.code, ExitedAt: stamp(s.endedAt)}, nil
}

// ShutdownSandbox ends what is left and makes the shim leave. Engines call it after
// a CreateSandbox that failed as well, when there is no sandbox to name.
func (s *Service) ShutdownSandbox(ctx context.Context, r *sandboxpb.ShutdownSandboxRequest) (*sandboxpb.ShutdownSandboxResponse, error) {
	if err := s.foreign(r.SandboxId); err != nil {
		return nil, err
	}
	err := s.stop(ctx)
	s.Shutdown()
	if err != nil {
		return nil, fmt.Errorf("the delete action releases the rest of sandbox %s: %w", r.SandboxId, err)
	}
	return &sandboxpb.ShutdownSandboxResponse{}, nil
}

// Platform is that of the guest, which runs the host's architecture.
func (s *Service) Platform(_ context.Context, r *sandboxpb.PlatformRequest) (*sandboxpb.PlatformResponse, error) {
	if _, err := s.created(r.SandboxId); err != nil {
		return nil, err
	}
	return &sandboxpb.PlatformResponse{Platform: &types.Platform{OS: "linux", Architecture: runtime.GOARCH}}, nil
}

// foreign is errdefs.ErrNotFound for another sandbox than the one that was created.
func (s *Service) foreign(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plan != nil && s.plan.options.ID != id {
		return fmt.Errorf("sandbox %s: this shim has the sandbox %s: %w", id, s.plan.options.ID, errdefs.ErrNotFound)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"context"
	"fmt"
	"time"

	sandboxapi "github.com/containerd/containerd/api/runtime/sandbox/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/shim/metrics"
)

// States as containerd's CRI plugin compares them.
const (
	stateReady    = "SANDBOX_READY"
	stateNotReady = "SANDBOX_NOTREADY"
)

// SandboxStatus answers from memory.
func (s *Service) SandboxStatus(_ context.Context, r *sandboxapi.SandboxStatusRequest) (*sandboxapi.SandboxStatusResponse, error) {
	p, err := s.created(r.SandboxID)
	if err != nil {
		return nil, err
	}
	resp := &sandboxapi.SandboxStatusResponse{SandboxID: r.SandboxID, State: stateNotReady, CreatedAt: stamp(p.createdAt)}
	s.mu.Lock()
	resp.ExitedAt = stamp(s.endedAt)
	s.mu.Unlock()
	vm, err := s.Pod.Sandbox()
	if err != nil {
		return resp, nil // it was not started
	}
	resp.Pid = uint32(vm.PID())
	if vm.State() == sandbox.StateRunning {
		resp.State = stateReady
	}
	if r.Verbose {
		resp.Info = vm.Info()
		if f := vm.Failure(); f != nil {
			resp.Info["failure"] = f.Error()
		}
	}
	return resp, nil
}

// PingSandbox succeeds while the sandbox is up.
func (s *Service) PingSandbox(_ context.Context, r *sandboxapi.PingRequest) (*sandboxapi.PingResponse, error) {
	if _, err := s.created(r.SandboxID); err != nil {
		return nil, err
	}
	vm, err := s.Pod.Sandbox()
	if err != nil {
		return nil, err
	}
	if state := vm.State(); state != sandbox.StateRunning {
		return nil, fmt.Errorf("sandbox %s is %s: %w", r.SandboxID, state, errdefs.ErrUnavailable)
	}
	return &sandboxapi.PingResponse{}, nil
}

// SandboxMetrics is what the pod uses on the host.
func (s *Service) SandboxMetrics(ctx context.Context, r *sandboxapi.SandboxMetricsRequest) (*sandboxapi.SandboxMetricsResponse, error) {
	if _, err := s.created(r.SandboxID); err != nil {
		return nil, err
	}
	vm, err := s.Pod.Sandbox()
	if err != nil {
		return nil, err
	}
	used, err := vm.Stats(ctx)
	if err != nil {
		return nil, err
	}
	m := &types.Metric{Timestamp: timestamppb.Now(), ID: r.SandboxID}
	switch {
	case used.V1 != nil:
		m.Data, err = metrics.Typed(used.V1)
	case used.V2 != nil:
		m.Data, err = metrics.Typed(used.V2)
	default:
		err = fmt.Errorf("metrics of sandbox %s: its cgroup reports nothing: %w", r.SandboxID, errdefs.ErrUnavailable)
	}
	if err != nil {
		return nil, err
	}
	return &sandboxapi.SandboxMetricsResponse{Metrics: m}, nil
}

// stamp is nil for no time.
func stamp(at time.Time) *timestamppb.Timestamp {
	if at.IsZero() {
		return nil
	}
	return timestamppb.New(at)
}

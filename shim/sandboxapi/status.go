// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"github.com/katapod/katapod/shim/sandboxapi/sandboxpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/shim/metrics"
)

// States as containerd's CRI plugin compares them.
const (
	stateReady    = "SANDBOX_READY"
	stateNotReady = "SANDBOX_NOTREADY"
)

// SandboxStatus answers from memory. The verbose form has what the pod's VM is, and
// the labels and annotations as they were last updated, in JSON.
func (s *Service) SandboxStatus(_ context.Context, r *sandboxpb.SandboxStatusRequest) (*sandboxpb.SandboxStatusResponse, error) {
	p, err := s.created(r.SandboxId)
	if err != nil {
		return nil, err
	}
	resp := &sandboxpb.SandboxStatusResponse{SandboxId: r.SandboxId, State: stateNotReady, CreatedAt: stamp(p.createdAt)}
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
		s.tell(resp.Info)
		if resp.Info[criInfoKey], err = describe(vm, resp.Info["netns"]); err != nil {
			return nil, fmt.Errorf("status of sandbox %s: %w", r.SandboxId, err)
		}
		if f := vm.Failure(); f != nil {
			resp.Info["failure"] = f.Error()
		}
	}
	return resp, nil
}

// PingSandbox succeeds while the sandbox is up.
func (s *Service) PingSandbox(_ context.Context, r *sandboxpb.PingRequest) (*sandboxpb.PingResponse, error) {
	if _, err := s.created(r.SandboxId); err != nil {
		return nil, err
	}
	vm, err := s.Pod.Sandbox()
	if err != nil {
		return nil, err
	}
	if state := vm.State(); state != sandbox.StateRunning {
		return nil, fmt.Errorf("sandbox %s is %s: %w", r.SandboxId, state, errdefs.ErrUnavailable)
	}
	return &sandboxpb.PingResponse{}, nil
}

// SandboxMetrics is what the pod uses on the host.
func (s *Service) SandboxMetrics(ctx context.Context, r *sandboxpb.SandboxMetricsRequest) (*sandboxpb.SandboxMetricsResponse, error) {
	if _, err := s.created(r.SandboxId); err != nil {
		return nil, err
	}
	vm, err := s.Pod.Sandbox()
	if err != nil {
		return nil, err
	}
	if state := vm.State(); state != sandbox.StateRunning {
		return nil, fmt.Errorf("metrics of sandbox %s: it is %s: %w", r.SandboxId, state, errdefs.ErrUnavailable)
	}
	used, err := vm.Stats(ctx)
	if err != nil {
		return nil, err
	}
	m := &types.Metric{Timestamp: timestamppb.Now(), ID: r.SandboxId}
	switch {
	case used.V1 != nil:
		m.Data, err = metrics.Typed(used.V1)
	case used.V2 != nil:
		m.Data, err = metrics.Typed(used.V2)
	default:
		err = fmt.Errorf("metrics of sandbox %s: its cgroup reports nothing: %w", r.SandboxId, errdefs.ErrUnavailable)
	}
	if err != nil {
		return nil, err
	}
	return &sandboxpb.SandboxMetricsResponse{Metrics: m}, nil
}

// stamp is nil for no time.
func stamp(at time.Time) *timestamppb.Timestamp {
	if at.IsZero() {
		return nil
	}
	return timestamppb.New(at)
}

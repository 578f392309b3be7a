// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/katapod/katapod/agent/device"
	"github.com/katapod/katapod/agent/guestos"
	"github.com/katapod/katapod/agent/storage"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/forward"
	"github.com/katapod/katapod/protocols/names"
	"github.com/katapod/katapod/protocols/ocijson"
	"github.com/katapod/katapod/protocols/stdio"
)

// features are what this agent can beyond the contract, and the parts of the
// contract that an agent may lack.
func features() []string {
	return []string{stdio.Feature, forward.Feature, names.Feature, ocijson.Feature, "seccomp"}
}

// GetGuestDetails tells what the guest and its agent can.
func (s *Service) GetGuestDetails(_ context.Context, r *agentpb.GuestDetailsRequest) (*agentpb.GuestDetailsResponse, error) {
	out := &agentpb.GuestDetailsResponse{AgentDetails: &agentpb.AgentDetails{
		Version:         s.Parts.Version,
		InitDaemon:      s.Init,
		DeviceHandlers:  storage.DeviceTypes(),
		StorageHandlers: s.Storage.Drivers(),
		SupportsSeccomp: true,
		ExtraFeatures:   features(),
	}}
	if r.MemBlockSize {
		var err error
		if out.MemBlockSizeBytes, err = s.System.MemoryBlock(); err != nil {
			return nil, err
		}
	}
	if r.MemHotplugProbe {
		out.SupportMemHotplugProbe = s.System.ProbeSupported()
	}
	return out, nil
}

// OnlineCPUMem turns on CPUs and memory that were plugged in. How long memory takes
// depends on how much it is: the wait for it is the caller's.
func (s *Service) OnlineCPUMem(ctx context.Context, r *agentpb.OnlineCPUMemRequest) (*emptypb.Empty, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, s.Parameters.HotplugTimeout,
		fmt.Errorf("%s without them, see agent.hotplug_timeout: %w", s.Parameters.HotplugTimeout, context.DeadlineExceeded))
	defer cancel()
	if err := s.System.OnlineCPUs(bounded, int(r.NbCpus), r.Wait); err != nil {
		return nil, err
	}
	if r.CpuOnly {
		return &emptypb.Empty{}, nil
	}
	if err := s.System.OnlineMemory(ctx, r.MemoryMib); err != nil {
		return nil, err
	}
	if r.MemoryMib == 0 {
		return &emptypb.Empty{}, nil
	}
	return done(guestos.GrowRun())
}

// MemHotplugByProbe tells the kernel where memory was plugged in.
func (s *Service) MemHotplugByProbe(_ context.Context, r *agentpb.MemHotplugByProbeRequest) (*emptypb.Empty, error) {
	return done(s.System.Probe(r.MemHotplugProbeAddr))
}

// SetGuestDateTime sets the clock.
func (s *Service) SetGuestDateTime(_ context.Context, r *agentpb.SetGuestDateTimeRequest) (*emptypb.Empty, error) {
	return done(guestos.SetClock(r.Sec, r.Usec))
}

// ReseedRandomDev adds the host's randomness to the guest's.
func (s *Service) ReseedRandomDev(_ context.Context, r *agentpb.ReseedRandomDevRequest) (*emptypb.Empty, error) {
	return done(guestos.Reseed(r.Data))
}

// AddSwap swaps to the disk at a PCI path, given as its slots.
func (s *Service) AddSwap(ctx context.Context, r *agentpb.AddSwapRequest) (*emptypb.Empty, error) {
	path, err := device.PCIPathOf(r.PCIPath)
	if err != nil {
		return nil, err
	}
	node, err := s.Devices.Block(ctx, path)
	if err != nil {
		return nil, err
	}
	return done(guestos.SwapOn(node))
}

// AddSwapPath swaps to a device.
func (s *Service) AddSwapPath(ctx context.Context, r *agentpb.AddSwapPathRequest) (*emptypb.Empty, error) {
	node, err := s.Devices.Node(ctx, r.Path)
	if err != nil {
		return nil, err
	}
	return done(guestos.SwapOn(node))
}

func (s *Service) loadModules(ctx context.Context, modules []*agentpb.KernelModule) error {
	for _, m := range modules {
		if err := guestos.LoadModule(ctx, s.Reaper, m.Name, m.Parameters); err != nil {
			return err
		}
	}
	return nil
}

// SetPolicy is for agents that are built to judge requests by a policy.
func (s *Service) SetPolicy(context.Context, *agentpb.SetPolicyRequest) (*emptypb.Empty, error) {
	return nil, fmt.Errorf("this agent judges no requests by policy and does not list agent-policy among its features: %w", errdefs.ErrNotImplemented)
}

// MemAgentMemcgSet is for agents with a memory agent.
func (s *Service) MemAgentMemcgSet(context.Context, *agentpb.MemAgentMemcgConfig) (*emptypb.Empty, error) {
	return nil, noMemoryAgent()
}

// MemAgentCompactSet is for agents with a memory agent.
func (s *Service) MemAgentCompactSet(context.Context, *agentpb.MemAgentCompactConfig) (*emptypb.Empty, error) {
	return nil, noMemoryAgent()
}

func noMemoryAgent() error {
	return fmt.Errorf("this agent has no memory agent; free pages go back to the host through the balloon: %w", errdefs.ErrNotImplemented)
}

// done answers with nothing, or with the error.
func done(err error) (*emptypb.Empty, error) {
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

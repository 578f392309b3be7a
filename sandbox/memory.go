// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/sandbox/sizing"
)

// podMemory is the growth of the VM's memory.
type podMemory struct {
	// turn is taken by whoever makes it grow.
	turn turns
	// inUse is how many MiB the guest has in use for sure: what it booted with, and
	// what it said since. It is the turn's, but for the pod's start, which is alone.
	inUse int
}

func newPodMemory() podMemory { return podMemory{turn: make(turns, 1)} }

// later is what the configuration says about memory that comes later: how much there
// may be in all, in MiB, and how often it is plugged. It is 0 and 0 where none may.
func (s *Sandbox) later() (most, slots int) {
	slots = s.options.Config.Hypervisor.MemorySlots
	if slots == 0 {
		return 0, 0
	}
	return s.bounds().Most(), slots
}

// plugRest gives a clone, which does not run yet, what its pod needs more than its
// template has.
func (s *Sandbox) plugRest(ctx context.Context, vm hypervisor.VM) error {
	s.memory.inUse = vm.Describe().MemoryMiB
	more := s.size().MemoryMiB - s.memory.inUse
	if more <= 0 {
		return nil
	}
	plugger, err := hypervisor.AsMemoryPlugger(vm)
	if err != nil {
		return err
	}
	return plugger.PlugMemory(ctx, more)
}

// needMemory returns when the guest has the memory for all containers that it has
// now. What it cannot have is the caller's error.
func (s *Sandbox) needMemory(ctx context.Context) error {
	done, err := s.memory.turn.enter(ctx)
	if err != nil {
		return fmt.Errorf("wait for the VM's memory: %w", err)
	}
	defer done()
	return s.growFor(ctx, s.together())
}

// growFor has the VM grow until it holds containers that may use r, and the guest use
// all it has. The turn is the caller's.
func (s *Sandbox) growFor(ctx context.Context, r sizing.Request) error {
	now := s.size()
	size, err := sizing.Grow(now, r, s.bounds())
	if err != nil {
		return err
	}
	if size == now && s.memory.inUse == now.MemoryMiB {
		return nil
	}
	err = s.runner.timeline.measure(StepMemory, func() error {
		if err := s.plugMemory(ctx, now, size); err != nil {
			return err
		}
		return s.useMemory(ctx, size.MemoryMiB)
	})
	if err != nil {
		return fmt.Errorf("give the VM the memory for its containers: %w", err)
	}
	if err := s.runner.timeline.write(s.dirs.timeline(), s.Origin()); err != nil {
		s.log.WithError(err).Warn("cannot store when the VM's memory grew")
	}
	return nil
}

// plugMemory makes the VM grow. The limit of its cgroup on the host, if it has one,
// grows before: it covers the VM at any time.
func (s *Sandbox) plugMemory(ctx context.Context, now, size sizing.Size) error {
	if size == now {
		return nil
	}
	if most, _ := s.later(); most < size.MemoryMiB {
		return fmt.Errorf("it has %d MiB and needs %d, and memory_slots is 0, so that none can be plugged: %w",
			now.MemoryMiB, size.MemoryMiB, errdefs.ErrFailedPrecondition)
	}
	if block := s.guest().memoryBlock; block > hypervisor.MemoryBlockMiB<<20 {
		return fmt.Errorf("it has %d MiB and needs %d, and a kernel that booted with so much takes more in blocks of %d MiB only; create the pod anew: %w",
			now.MemoryMiB, size.MemoryMiB, block>>20, errdefs.ErrFailedPrecondition)
	}
	plugger, err := hypervisor.AsMemoryPlugger(s.machine())
	if err != nil {
		return err
	}
	limits := sizing.HostLimits(sizing.Request{MemoryBytes: s.options.Resources.MemoryBytes}, size, s.options.Config.Hypervisor.Name)
	if group := s.cgroup(); group != nil && limits.MemoryBytes > 0 {
		if err := group.Update(limits); err != nil {
			return fmt.Errorf("raise the memory limit of the pod's cgroup: %w", err)
		}
	}
	if err := plugger.PlugMemory(ctx, size.MemoryMiB-now.MemoryMiB); err != nil {
		return err
	}
	s.parts.with(func(p *parts) { p.size.MemoryMiB = size.MemoryMiB })
	s.log.WithField("memory", size.MemoryMiB).Info("the VM's memory has grown")
	return nil
}

// useMemory waits until the guest has so many MiB in use. It takes longer the more
// there is that is new.
func (s *Sandbox) useMemory(ctx context.Context, mib int) error {
	agent := s.guest()
	_, err := ask(ctx, agent, fmt.Sprintf("have the guest use %d MiB of memory", mib), s.createTimeout(), agent.service.OnlineCPUMem,
		&agentpb.OnlineCPUMemRequest{MemoryMib: uint64(mib)})
	if err == nil {
		s.memory.inUse = mib
	}
	return err
}

// together is what the containers that have not ended may use together. Those that
// the engine runs before others have ended by then.
func (s *Sandbox) together() sizing.Request {
	var requests []sizing.Request
	for _, c := range s.Containers() {
		if !c.pause && c.Status() != StatusStopped {
			requests = append(requests, c.allowance())
		}
	}
	return sizing.Sum(requests...)
}

// allowance is what the container may use.
func (c *Container) allowance() sizing.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.allowed
}

func (c *Container) setAllowance(r sizing.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.allowed = r
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"strings"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/failure"
)

// startVM boots the VM with the network devices and the share that the pod has so
// far, or lets a clone run, which gets them later.
func (s *Sandbox) startVM(ctx context.Context) error {
	if s.cloned() {
		return s.runClone(ctx)
	}
	c := s.vmConfig()
	if s.share.begun {
		c.Shares = []hypervisor.Share{s.vmShare()}
	}
	vm, err := s.drivers.NewVM(c)
	if err != nil {
		return err
	}
	if err := s.checkLaterShare(vm); err != nil {
		return err
	}
	s.parts.with(func(p *parts) { p.vm = vm })
	err = vm.Start(ctx)
	s.network.closeFiles() // the VMM has its own
	if err != nil {
		if code, known := vmCode(err); known {
			return failure.With(code, err)
		}
		return err
	}
	s.parts.with(func(p *parts) { p.booted = true })
	s.memory.inUse = c.MemoryMiB
	s.share.inVM = s.share.begun
	// It ends with the VM or with the pod's life.
	go s.watchVM(vm)
	return nil
}

// vmConfig translates the configuration for the driver.
func (s *Sandbox) vmConfig() hypervisor.Config {
	h, size := s.options.Config.Hypervisor, s.size()
	c := hypervisor.Config{
		ID:           s.options.ID,
		Dir:          s.dirs.vm,
		Binary:       h.Path,
		NetNS:        s.network.path(),
		User:         s.user(),
		Machine:      h.MachineType,
		CPUFeatures:  h.CPUFeatures,
		Accelerator:  h.Accelerator,
		Kernel:       h.Kernel,
		Initrd:       h.Initrd,
		KernelParams: append(strings.Fields(h.KernelParams), s.agentParams()...),
		VCPUs:        size.VCPUs,
		MemoryMiB:    size.MemoryMiB,
		NICs:         s.network.nics(),
		HotplugSlots: h.HotplugSlots(),

		EntropySource:     h.EntropySource,
		FreePageReporting: h.ReclaimGuestFreedMemory,
		Debug:             h.Debug,
		Spawned:           s.adopt,
	}
	if h.Initrd == "" {
		c.Image, c.ImageType = h.Image, h.RootfsType
	}
	c.LaterShares = s.shares()
	c.MaxMemoryMiB, c.MemorySlots = s.later()
	return c
}

// agentParams are the kernel parameters that the agent reads.
func (s *Sandbox) agentParams() []string {
	var params []string
	if s.options.Config.Agent.Debug {
		params = append(params, "agent.log=debug")
	}
	if s.options.Config.Agent.DebugConsole {
		params = append(params, "agent.debug_console", "agent.debug_console_vport=1026")
	}
	return params
}

// undoVM kills the VMM; a second call does nothing.
func (s *Sandbox) undoVM(ctx context.Context) error {
	vm := s.machine()
	if vm == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeouts.StopVM)
	defer cancel()
	if err := vm.Stop(ctx); err != nil {
		return fmt.Errorf("stop the VM: %w", err)
	}
	return nil
}

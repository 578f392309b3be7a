// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/transport"
	"github.com/katapod/katapod/sandbox/hostcgroup"
	"github.com/katapod/katapod/sandbox/sizing"
)

// parts are what the start-up steps made. They are set once each; what is asked
// for before its step has run is nil.
type parts struct {
	mu     sync.Mutex
	size   sizing.Size
	cgroup Cgroup
	share  ShareDaemon
	vm     hypervisor.VM
	booted bool // the VM's start succeeded
	agent  *agentClient
	disks  int // how many were plugged so far, for their ids
}

// with runs fn under the lock.
func (p *parts) with(fn func(*parts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn(p)
}

// guest is the agent; nil before the agent's step.
func (s *Sandbox) guest() (a *agentClient) {
	s.parts.with(func(p *parts) { a = p.agent })
	return a
}

// machine is the VM; nil before the VM's step.
func (s *Sandbox) machine() (vm hypervisor.VM) {
	s.parts.with(func(p *parts) { vm = p.vm })
	return vm
}

// dialer reaches the guest's ports. The VM runs, or ran.
func (s *Sandbox) dialer() transport.Dialer { return s.machine().Dialer() }

// size is what the VM got.
func (s *Sandbox) size() (size sizing.Size) {
	s.parts.with(func(p *parts) { size = p.size })
	return size
}

// PID is the VMM's process id, 0 before it runs. It is the process that stands
// for the pod: it runs in the pod's network namespace.
func (s *Sandbox) PID() int {
	if vm := s.machine(); vm != nil {
		return vm.Describe().PID
	}
	return 0
}

// Info describes the pod for tools: the VMM and its version, the accelerator,
// the VM's size, the state directory. Once the pod is up, info.json has the same.
func (s *Sandbox) Info() map[string]string {
	info := map[string]string{
		"id":        s.options.ID,
		"namespace": s.options.Namespace,
		"bundle":    s.options.Bundle,
		"config":    s.options.Config.Path,
		"state":     string(s.State()),
		"state_dir": s.dirs.state,
		"netns":     s.network.path(),
	}
	vm := s.machine()
	if vm == nil {
		return info
	}
	d := vm.Describe()
	info["hypervisor"] = d.VMM
	info["hypervisor_version"] = d.Version
	info["accelerator"] = d.Accelerator
	info["hypervisor_pid"] = strconv.Itoa(d.PID)
	info["vcpus"] = strconv.Itoa(d.VCPUs)
	info["memory_mib"] = strconv.Itoa(d.MemoryMiB)
	return info
}

// Stats is what the pod used on the host: the VMM, its helpers and the shim. A
// pod without a cgroup of its own is errdefs.ErrNotImplemented.
func (s *Sandbox) Stats(context.Context) (hostcgroup.Stats, error) {
	var group Cgroup
	s.parts.with(func(p *parts) { group = p.cgroup })
	if group == nil {
		return hostcgroup.Stats{}, fmt.Errorf("statistics of pod %s: it has no cgroup on the host: %w", s.options.ID, errdefs.ErrNotImplemented)
	}
	return group.Stat()
}

// collectOOM passes the guest's out-of-memory kills on until the pod ends.
func (s *Sandbox) collectOOM() {
	agent := s.guest()
	for !s.life.over() {
		id, err := agent.nextOOM()
		switch {
		case s.life.over():
			return
		case errors.Is(err, errdefs.ErrNotImplemented):
			s.log.WithError(err).Warn("the agent does not tell of out-of-memory kills; containers killed so are not labelled")
			return
		case err != nil:
			s.log.WithError(err).Warn("asking for out-of-memory kills failed; asking again")
			s.life.wait(oomRetryDelay)
			continue
		}
		select {
		case s.oom <- id:
		case <-s.life.ctx.Done():
		}
	}
}

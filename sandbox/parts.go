// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"sync"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/transport"
	"github.com/katapod/katapod/sandbox/ledger"
	"github.com/katapod/katapod/sandbox/sizing"
	"github.com/katapod/katapod/sandbox/template"
)

// parts are what the start-up steps made. They are set once each; what is asked
// for before its step has run is nil.
type parts struct {
	// mu guards what follows. It is taken under Sandbox.mu and under resources.mu; nothing is taken under it.
	mu     sync.Mutex
	bounds sizing.Bounds
	size   sizing.Size
	origin Origin
	leave  func() // gives the pod's place among those that start back, see takePlace
	// template is what the VM is cloned from, nil for one that boots;
	// beginTemplate has one made, once.
	template      *template.Template
	beginTemplate func()
	cgroup        Cgroup
	user          int // whom the VMM runs as
	userClaim     ledger.Resource
	share         ShareDaemon
	vm            hypervisor.VM
	booted        bool // the VM's start succeeded
	agent         *agentClient
	disks         int // how many were plugged so far, for their ids
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

// bounds are what the configuration and the host say about sizes.
func (s *Sandbox) bounds() (b sizing.Bounds) {
	s.parts.with(func(p *parts) { b = p.bounds })
	return b
}

// cgroup is the pod's on the host; nil before its step.
func (s *Sandbox) cgroup() (group Cgroup) {
	s.parts.with(func(p *parts) { group = p.cgroup })
	return group
}

// size is what the VM got.
func (s *Sandbox) size() (size sizing.Size) {
	s.parts.with(func(p *parts) { size = p.size })
	return size
}

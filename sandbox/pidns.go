// SPDX-License-Identifier: Apache-2.0

package sandbox

import "github.com/opencontainers/runtime-spec/specs-go"

// pidMode is in which PID namespace a container runs.
type pidMode int

const (
	pidUndecided pidMode = iota
	pidOwn
	pidShared
)

// choosePID decides whether a container joins the pod's PID namespace.
//
// An engine that makes the pod by a container of its own says so by the
// containers alone: their specs name the PID namespace of the pod's process. On
// the host all processes of the pod have one pid, so a spec that names the
// namespace of one container (kubectl debug --target) looks the same. It is
// taken for the pod's while every container is in that one, and left to be
// refused when one has a namespace of its own, which might be the one meant.
func (c *Container) choosePID(in *specs.Spec) (shared bool) {
	s := c.sandbox
	s.mu.Lock()
	defer s.mu.Unlock()
	shared = s.options.SharedPIDNS || namesPID(in) && !s.hasOwnPID()
	c.pid = pidOwn
	if shared {
		c.pid = pidShared
	}
	return shared
}

// hasOwnPID tells whether a container has a PID namespace of its own. The caller
// holds s.mu.
func (s *Sandbox) hasOwnPID() bool {
	for _, c := range s.containers {
		if !c.pause && c.pid == pidOwn {
			return true
		}
	}
	return false
}

// namesPID tells whether a spec names a PID namespace to join.
func namesPID(in *specs.Spec) bool {
	if in.Linux == nil {
		return false
	}
	for _, ns := range in.Linux.Namespaces {
		if ns.Type == specs.PIDNamespace && ns.Path != "" {
			return true
		}
	}
	return false
}

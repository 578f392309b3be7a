// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"strconv"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/hostcgroup"
)

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

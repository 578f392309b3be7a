// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

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
// the VM's size, the cgroup and the state directory on the host, its containers and
// how long its start took, in milliseconds. Once the pod is up, info.json has the
// same.
func (s *Sandbox) Info() map[string]string {
	info := map[string]string{
		"id":        s.options.ID,
		"namespace": s.options.Namespace,
		"bundle":    s.options.Bundle,
		"config":    s.options.Config.Path,
		"state":     string(s.State()),
		"state_dir": s.dirs.state,
		"netns":     s.network.path(),
		"hostname":  s.options.hostname(),
	}
	if path, err := s.cgroupPath(); err == nil {
		info["cgroup"] = path
	}
	s.infoOfLife(info)
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

// infoOfLife adds what changes while the pod lives.
func (s *Sandbox) infoOfLife(info map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info["containers"] = strings.Join(slices.Sorted(maps.Keys(s.containers)), " ")
	if s.startedAt.IsZero() {
		return
	}
	info["started_at"] = s.startedAt.UTC().Format(time.RFC3339Nano)
	info["start_ms"] = strconv.FormatFloat(milliseconds(s.runner.timeline.since(s.startedAt)), 'f', 1, 64)
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

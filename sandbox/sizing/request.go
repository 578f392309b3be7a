// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	"fmt"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Request is what the containers of a pod may use together. A zero field means
// that nothing was said.
type Request struct {
	// CPUQuota is CPU time in microseconds per CPUPeriod; negative is no limit.
	CPUQuota  int64
	CPUPeriod uint64
	// CPUShares is a weight in cgroup v1's units.
	CPUShares uint64
	// Cpuset is a list of host CPUs, "0-3,7".
	Cpuset string
	// MemoryBytes is the memory limit; negative is no limit.
	MemoryBytes int64
}

// The annotations by which CRI engines announce a pod's size when they create
// its sandbox; containerd and CRI-O set them alike.
const (
	annotationQuota  = "io.kubernetes.cri.sandbox-cpu-quota"
	annotationPeriod = "io.kubernetes.cri.sandbox-cpu-period"
	annotationShares = "io.kubernetes.cri.sandbox-cpu-shares"
	annotationMemory = "io.kubernetes.cri.sandbox-memory"
)

// FromAnnotations reads the size that a CRI engine announces. An annotation
// that is absent leaves its field 0; one that is no number is
// errdefs.ErrInvalidArgument and named.
func FromAnnotations(a map[string]string) (Request, error) {
	var r Request
	var err error
	if r.CPUQuota, err = signed(a, annotationQuota); err != nil {
		return Request{}, err
	}
	if r.CPUPeriod, err = unsigned(a, annotationPeriod); err != nil {
		return Request{}, err
	}
	if r.CPUShares, err = unsigned(a, annotationShares); err != nil {
		return Request{}, err
	}
	if r.MemoryBytes, err = signed(a, annotationMemory); err != nil {
		return Request{}, err
	}
	return r, nil
}

func signed(a map[string]string, key string) (int64, error) {
	value, ok := a[key]
	if !ok || value == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, notANumber(key, value)
	}
	return n, nil
}

func unsigned(a map[string]string, key string) (uint64, error) {
	value, ok := a[key]
	if !ok || value == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return 0, notANumber(key, value)
	}
	return n, nil
}

func notANumber(key, value string) error {
	return fmt.Errorf("annotation %s = %q is not a whole number that fits 64 bits: %w", key, value, errdefs.ErrInvalidArgument)
}

// FromSpec reads the size of a lone container from its own limits.
func FromSpec(s *specs.Spec) Request {
	if s == nil || s.Linux == nil || s.Linux.Resources == nil {
		return Request{}
	}
	var r Request
	if cpu := s.Linux.Resources.CPU; cpu != nil {
		r.CPUQuota, r.CPUPeriod, r.CPUShares = value(cpu.Quota), value(cpu.Period), value(cpu.Shares)
		r.Cpuset = cpu.Cpus
	}
	if memory := s.Linux.Resources.Memory; memory != nil {
		r.MemoryBytes = value(memory.Limit)
	}
	return r
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

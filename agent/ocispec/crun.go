// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"maps"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// crun 1.8 does not know all of the specification, and says nothing about what
// it does not know. What it can do under another name is renamed here; package
// container does the rest.

func suitCrun(spec *specs.Spec) error {
	moveBurst(spec.Linux.Resources)
	dropErrnos(spec.Linux.Seccomp)
	return tellApart(spec.Linux.Seccomp)
}

// moveBurst makes cpu.burst the file of cgroup v2 that it is.
func moveBurst(r *specs.LinuxResources) {
	if r == nil || r.CPU == nil || r.CPU.Burst == nil {
		return
	}
	unified := map[string]string{"cpu.max.burst": strconv.FormatUint(*r.CPU.Burst, 10)}
	maps.Copy(unified, r.Unified)
	r.Unified = unified
}

// dropErrnos drops error numbers of actions that return none: crun refuses them,
// and runc does not look at them.
func dropErrnos(s *specs.LinuxSeccomp) {
	if s == nil {
		return
	}
	if !hasErrno(s.DefaultAction) {
		s.DefaultErrnoRet = nil
	}
	s.Syscalls = slices.Clone(s.Syscalls)
	for i := range s.Syscalls {
		if !hasErrno(s.Syscalls[i].Action) {
			s.Syscalls[i].ErrnoRet = nil
		}
	}
}

func hasErrno(a specs.LinuxSeccompAction) bool { return a == specs.ActErrno || a == specs.ActTrace }

// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"path"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// cgroupParent is the group of all containers in the guest.
const cgroupParent = "/katapod"

func linux(in, out *specs.Spec, e Env) error {
	l := in.Linux
	out.Linux.UIDMappings = l.UIDMappings
	out.Linux.GIDMappings = l.GIDMappings
	out.Linux.Sysctl = l.Sysctl
	out.Linux.CgroupsPath = path.Join(cgroupParent, e.ContainerID)
	out.Linux.RootfsPropagation = l.RootfsPropagation
	out.Linux.MaskedPaths = l.MaskedPaths
	out.Linux.ReadonlyPaths = l.ReadonlyPaths
	out.Linux.Personality = l.Personality
	return nil
}

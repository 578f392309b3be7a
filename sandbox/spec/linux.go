// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"maps"
	"path"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
)

// cgroupParent is the group of all containers in the guest.
const cgroupParent = "/katapod"

func linux(in *specs.Spec, out *agentpb.Spec, e Env) error {
	l := in.Linux
	out.Linux.UIDMappings = idMappings(l.UIDMappings)
	out.Linux.GIDMappings = idMappings(l.GIDMappings)
	out.Linux.Sysctl = maps.Clone(l.Sysctl)
	out.Linux.CgroupsPath = path.Join(cgroupParent, e.ContainerID)
	out.Linux.RootfsPropagation = l.RootfsPropagation
	out.Linux.MaskedPaths = slices.Clone(l.MaskedPaths)
	out.Linux.ReadonlyPaths = slices.Clone(l.ReadonlyPaths)
	return nil
}

func idMappings(in []specs.LinuxIDMapping) []*agentpb.LinuxIDMapping {
	var out []*agentpb.LinuxIDMapping
	for _, m := range in {
		out = append(out, &agentpb.LinuxIDMapping{HostID: m.HostID, ContainerID: m.ContainerID, Size: m.Size})
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"maps"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
)

// step writes its fields of the guest's form, or says why it cannot. Steps are
// pure and independent of each other, but for their order in the list.
type step func(in *specs.Spec, out *agentpb.Spec, e Env) error

// steps turn a spec into the guest's form, in this order. The refusals come
// first: what cannot be honoured is said before anything else is looked at.
func steps() []step {
	return []step{
		refuse, general, process, rootfs, mounts, linux, namespaces, devices,
		resources, seccomp, annotations,
	}
}

// ToGuest returns the guest's form of a container's spec. It never changes in.
// A field that cannot be honoured is errdefs.ErrNotImplemented and named with
// its path; a spec that is wrong in itself is errdefs.ErrInvalidArgument.
func ToGuest(in *specs.Spec, e Env) (*agentpb.Spec, error) {
	if in == nil || in.Process == nil || in.Linux == nil {
		return nil, fmt.Errorf("the OCI spec has no process or linux section: %w", errdefs.ErrInvalidArgument)
	}
	out := &agentpb.Spec{Linux: &agentpb.Linux{}}
	for _, do := range steps() {
		if err := do(in, out, e); err != nil {
			return nil, fmt.Errorf("OCI spec of container %s: %w", e.ContainerID, err)
		}
	}
	return out, nil
}

// general copies what needs no thought.
func general(in *specs.Spec, out *agentpb.Spec, _ Env) error {
	out.Version = in.Version
	out.Hostname = in.Hostname
	return nil
}

// rootfs names the root's place in the guest.
func rootfs(in *specs.Spec, out *agentpb.Spec, e Env) error {
	out.Root = &agentpb.Root{Path: e.RootPath}
	if in.Root != nil {
		out.Root.Readonly = in.Root.Readonly
	}
	return nil
}

// mounts takes the storage plan's.
func mounts(_ *specs.Spec, out *agentpb.Spec, e Env) error {
	for _, m := range e.Mounts {
		out.Mounts = append(out.Mounts, &agentpb.Mount{
			Destination: m.Destination, Source: m.Source, Type: m.Type, Options: m.Options,
		})
	}
	return nil
}

// annotations go along, since hooks and tools in the guest may read them.
func annotations(in *specs.Spec, out *agentpb.Spec, _ Env) error {
	out.Annotations = maps.Clone(in.Annotations)
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"fmt"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
)

// fromWire reads the protocol's own message. See [Container].
func fromWire(in *agentpb.Spec) (*specs.Spec, error) {
	switch {
	case in == nil:
		return nil, fmt.Errorf("the request has no OCI specification: %w", errdefs.ErrInvalidArgument)
	case in.Solaris != nil || in.Windows != nil:
		return nil, fmt.Errorf("the OCI specification is for Solaris or Windows, the guest runs Linux: %w", errdefs.ErrInvalidArgument)
	}
	return &specs.Spec{
		Version:     in.Version,
		Process:     process(in.Process),
		Root:        root(in.Root),
		Hostname:    in.Hostname,
		Mounts:      each(in.Mounts, mount),
		Hooks:       hooks(in.Hooks),
		Annotations: in.Annotations,
		Linux:       linux(in.Linux),
	}, nil
}

func root(in *agentpb.Root) *specs.Root {
	if in == nil {
		return nil
	}
	return &specs.Root{Path: in.Path, Readonly: in.Readonly}
}

func process(in *agentpb.Process) *specs.Process {
	if in == nil {
		return nil
	}
	// Zero is a value of its own here.
	score := int(in.OOMScoreAdj)
	return &specs.Process{
		Terminal:        in.Terminal,
		ConsoleSize:     box(in.ConsoleSize),
		User:            user(in.User),
		Args:            in.Args,
		Env:             in.Env,
		Cwd:             in.Cwd,
		Capabilities:    capabilities(in.Capabilities),
		Rlimits:         each(in.Rlimits, rlimit),
		NoNewPrivileges: in.NoNewPrivileges,
		ApparmorProfile: in.ApparmorProfile,
		OOMScoreAdj:     &score,
		SelinuxLabel:    in.SelinuxLabel,
	}
}

func box(in *agentpb.Box) *specs.Box {
	if in == nil || in.Height == 0 && in.Width == 0 {
		return nil
	}
	return &specs.Box{Height: uint(in.Height), Width: uint(in.Width)}
}

func user(in *agentpb.User) specs.User {
	if in == nil {
		return specs.User{}
	}
	return specs.User{UID: in.UID, GID: in.GID, AdditionalGids: in.AdditionalGids, Username: in.Username}
}

func capabilities(in *agentpb.LinuxCapabilities) *specs.LinuxCapabilities {
	if in == nil {
		return nil
	}
	return &specs.LinuxCapabilities{
		Bounding:    in.Bounding,
		Effective:   in.Effective,
		Inheritable: in.Inheritable,
		Permitted:   in.Permitted,
		Ambient:     in.Ambient,
	}
}

func rlimit(in *agentpb.POSIXRlimit) specs.POSIXRlimit {
	return specs.POSIXRlimit{Type: in.Type, Hard: in.Hard, Soft: in.Soft}
}

func mount(in *agentpb.Mount) specs.Mount {
	return specs.Mount{Destination: in.Destination, Type: in.Type, Source: in.Source, Options: in.Options}
}

func hooks(in *agentpb.Hooks) *specs.Hooks {
	if in == nil {
		return nil
	}
	return &specs.Hooks{
		//lint:ignore SA1019 deprecated, but on the wire
		Prestart:        each(in.Prestart, hook),
		CreateRuntime:   each(in.CreateRuntime, hook),
		CreateContainer: each(in.CreateContainer, hook),
		StartContainer:  each(in.StartContainer, hook),
		Poststart:       each(in.Poststart, hook),
		Poststop:        each(in.Poststop, hook),
	}
}

func hook(in *agentpb.Hook) specs.Hook {
	return specs.Hook{Path: in.Path, Args: in.Args, Env: in.Env, Timeout: present(int(in.Timeout))}
}

// present returns nil for the zero value, which on the wire means absent.
func present[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// each converts a list; an empty one stays nil.
func each[In, Out any](in []In, convert func(In) Out) []Out {
	if len(in) == 0 {
		return nil
	}
	out := make([]Out, 0, len(in))
	for _, v := range in {
		out = append(out, convert(v))
	}
	return out
}

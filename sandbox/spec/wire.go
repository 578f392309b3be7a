// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/agentpb"
)

// noWire is for an agent that takes no specification as it is: see package
// github.com/katapod/katapod/protocols/ocijson.
const noWire = "the agent of this guest image takes no such field; use the guest image of this version, or remove it"

// ToWire returns the guest's form of a spec in the shape of the agent's protocol,
// for an agent that knows no other. A field that the protocol lacks is
// errdefs.ErrNotImplemented and named with its path.
func ToWire(in *specs.Spec) (*agentpb.Spec, error) {
	if err := refuseOnWire(in); err != nil {
		return nil, err
	}
	process, err := ProcessToWire(in.Process)
	if err != nil {
		return nil, err
	}
	linux, err := linuxToWire(in.Linux)
	if err != nil {
		return nil, err
	}
	out := &agentpb.Spec{
		Version: in.Version, Hostname: in.Hostname, Annotations: in.Annotations, Process: process, Linux: linux,
		Root: &agentpb.Root{Path: in.Root.Path, Readonly: in.Root.Readonly},
	}
	for _, m := range in.Mounts {
		out.Mounts = append(out.Mounts, &agentpb.Mount{Destination: m.Destination, Source: m.Source, Type: m.Type, Options: m.Options})
	}
	if in.Hooks != nil {
		out.Hooks = &agentpb.Hooks{StartContainer: each(in.Hooks.StartContainer, hook)}
	}
	return out, nil
}

func refuseOnWire(in *specs.Spec) error {
	for _, m := range in.Mounts {
		if err := first([]refusal{
			{"mounts.uidMappings of " + m.Destination, len(m.UIDMappings) > 0, noWire},
			{"mounts.gidMappings of " + m.Destination, len(m.GIDMappings) > 0, noWire},
		}); err != nil {
			return err
		}
	}
	return first([]refusal{
		{"domainname", in.Domainname != "", noWire},
		{"linux.personality", in.Linux.Personality != nil, noWire},
	})
}

// ProcessToWire is [ToWire] for a process that exec adds.
func ProcessToWire(in *specs.Process) (*agentpb.Process, error) {
	if err := first([]refusal{
		{"process.scheduler", in.Scheduler != nil, noWire},
		{"process.ioPriority", in.IOPriority != nil, noWire},
		{"process.execCPUAffinity", in.ExecCPUAffinity != nil, noWire},
		{"process.user.umask", in.User.Umask != nil, noWire},
	}); err != nil {
		return nil, err
	}
	out := &agentpb.Process{
		Terminal: in.Terminal,
		User: &agentpb.User{
			UID: in.User.UID, GID: in.User.GID, AdditionalGids: in.User.AdditionalGids, Username: in.User.Username,
		},
		Args: in.Args, Env: in.Env, Cwd: in.Cwd,
		Capabilities:    capabilities(in.Capabilities),
		NoNewPrivileges: in.NoNewPrivileges,
		OOMScoreAdj:     int64(value(in.OOMScoreAdj)),
		Rlimits: each(in.Rlimits, func(r specs.POSIXRlimit) *agentpb.POSIXRlimit {
			return &agentpb.POSIXRlimit{Type: r.Type, Hard: r.Hard, Soft: r.Soft}
		}),
	}
	if in.ConsoleSize != nil {
		out.ConsoleSize = &agentpb.Box{Height: uint32(in.ConsoleSize.Height), Width: uint32(in.ConsoleSize.Width)}
	}
	return out, nil
}

func capabilities(in *specs.LinuxCapabilities) *agentpb.LinuxCapabilities {
	if in == nil {
		return nil
	}
	return &agentpb.LinuxCapabilities{
		Bounding: in.Bounding, Effective: in.Effective, Inheritable: in.Inheritable, Permitted: in.Permitted, Ambient: in.Ambient,
	}
}

func hook(in specs.Hook) *agentpb.Hook {
	return &agentpb.Hook{Path: in.Path, Args: in.Args, Env: in.Env, Timeout: int64(value(in.Timeout))}
}

// seccompToWire refuses a default error that the protocol lacks. That of a
// profile is EPERM by the specification, so that naming it is nothing new.
func seccompToWire(in *specs.LinuxSeccomp) (*agentpb.LinuxSeccomp, error) {
	if in == nil {
		return nil, nil
	}
	if err := first([]refusal{
		{"linux.seccomp.defaultErrnoRet", in.DefaultErrnoRet != nil && *in.DefaultErrnoRet != uint(unix.EPERM), noWire},
	}); err != nil {
		return nil, err
	}
	return &agentpb.LinuxSeccomp{
		DefaultAction: string(in.DefaultAction),
		Architectures: each(in.Architectures, func(a specs.Arch) string { return string(a) }),
		Flags:         each(in.Flags, func(f specs.LinuxSeccompFlag) string { return string(f) }),
		Syscalls:      each(in.Syscalls, syscallRule),
	}, nil
}

func syscallRule(in specs.LinuxSyscall) *agentpb.LinuxSyscall {
	out := &agentpb.LinuxSyscall{
		Names: in.Names, Action: string(in.Action),
		Args: each(in.Args, func(a specs.LinuxSeccompArg) *agentpb.LinuxSeccompArg {
			return &agentpb.LinuxSeccompArg{Index: uint64(a.Index), Value: a.Value, ValueTwo: a.ValueTwo, Op: string(a.Op)}
		}),
	}
	if in.ErrnoRet != nil {
		out.ErrnoRet = &agentpb.LinuxSyscall_Errnoret{Errnoret: uint32(*in.ErrnoRet)}
	}
	return out
}

// each converts a list; an empty one stays nil.
func each[In, Out any](in []In, convert func(In) Out) []Out {
	var out []Out
	for _, v := range in {
		out = append(out, convert(v))
	}
	return out
}

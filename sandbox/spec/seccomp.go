// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/agentpb"
)

// seccomp sends the profile, which crun applies in the guest.
func seccomp(in *specs.Spec, out *agentpb.Spec, e Env) error {
	profile := in.Linux.Seccomp
	if profile == nil || e.DisableSeccomp {
		return nil
	}
	if err := refuseSeccomp(profile); err != nil {
		return err
	}
	out.Linux.Seccomp = &agentpb.LinuxSeccomp{DefaultAction: string(profile.DefaultAction)}
	for _, a := range profile.Architectures {
		out.Linux.Seccomp.Architectures = append(out.Linux.Seccomp.Architectures, string(a))
	}
	for _, f := range profile.Flags {
		out.Linux.Seccomp.Flags = append(out.Linux.Seccomp.Flags, string(f))
	}
	for _, s := range profile.Syscalls {
		out.Linux.Seccomp.Syscalls = append(out.Linux.Seccomp.Syscalls, syscallRule(s))
	}
	return nil
}

// refuseSeccomp refuses what the wire lacks. The default error of a profile is
// EPERM by the specification, so that naming it is nothing new.
func refuseSeccomp(profile *specs.LinuxSeccomp) error {
	return first([]refusal{
		{"linux.seccomp.listenerPath", profile.ListenerPath != "", "the listener is a socket of the host; remove it"},
		{"linux.seccomp.listenerMetadata", profile.ListenerMetadata != "", "it is for a listener, which is a socket of the host; remove it"},
		{"linux.seccomp.defaultErrnoRet", profile.DefaultErrnoRet != nil && *profile.DefaultErrnoRet != uint(unix.EPERM),
			"the agent's protocol has only the default EPERM; remove it or give the error per system call"},
	})
}

func syscallRule(in specs.LinuxSyscall) *agentpb.LinuxSyscall {
	out := &agentpb.LinuxSyscall{Names: slices.Clone(in.Names), Action: string(in.Action)}
	if in.ErrnoRet != nil {
		out.ErrnoRet = &agentpb.LinuxSyscall_Errnoret{Errnoret: uint32(*in.ErrnoRet)}
	}
	for _, a := range in.Args {
		out.Args = append(out.Args, &agentpb.LinuxSeccompArg{
			Index: uint64(a.Index), Value: a.Value, ValueTwo: a.ValueTwo, Op: string(a.Op),
		})
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
)

func linux(in *agentpb.Linux) *specs.Linux {
	if in == nil {
		return &specs.Linux{}
	}
	return &specs.Linux{
		UIDMappings:       each(in.UIDMappings, idMapping),
		GIDMappings:       each(in.GIDMappings, idMapping),
		Sysctl:            in.Sysctl,
		Resources:         resources(in.Resources),
		CgroupsPath:       in.CgroupsPath,
		Namespaces:        each(in.Namespaces, namespace),
		Devices:           each(in.Devices, device),
		Seccomp:           seccomp(in.Seccomp),
		RootfsPropagation: in.RootfsPropagation,
		MaskedPaths:       in.MaskedPaths,
		ReadonlyPaths:     in.ReadonlyPaths,
		MountLabel:        in.MountLabel,
		IntelRdt:          intelRdt(in.IntelRdt),
	}
}

func idMapping(in *agentpb.LinuxIDMapping) specs.LinuxIDMapping {
	return specs.LinuxIDMapping{HostID: in.HostID, ContainerID: in.ContainerID, Size: in.Size}
}

func namespace(in *agentpb.LinuxNamespace) specs.LinuxNamespace {
	return specs.LinuxNamespace{Type: specs.LinuxNamespaceType(in.Type), Path: in.Path}
}

func device(in *agentpb.LinuxDevice) specs.LinuxDevice {
	uid, gid := in.UID, in.GID
	return specs.LinuxDevice{
		Path:     in.Path,
		Type:     in.Type,
		Major:    in.Major,
		Minor:    in.Minor,
		FileMode: present(os.FileMode(in.FileMode)),
		UID:      &uid,
		GID:      &gid,
	}
}

func intelRdt(in *agentpb.LinuxIntelRdt) *specs.LinuxIntelRdt {
	if in == nil || in.L3CacheSchema == "" {
		return nil
	}
	return &specs.LinuxIntelRdt{L3CacheSchema: in.L3CacheSchema}
}

func seccomp(in *agentpb.LinuxSeccomp) *specs.LinuxSeccomp {
	if in == nil {
		return nil
	}
	return &specs.LinuxSeccomp{
		DefaultAction: specs.LinuxSeccompAction(in.DefaultAction),
		Architectures: each(in.Architectures, func(a string) specs.Arch { return specs.Arch(a) }),
		Flags:         each(in.Flags, func(f string) specs.LinuxSeccompFlag { return specs.LinuxSeccompFlag(f) }),
		Syscalls:      each(in.Syscalls, syscallRule),
	}
}

func syscallRule(in *agentpb.LinuxSyscall) specs.LinuxSyscall {
	out := specs.LinuxSyscall{
		Names:  in.Names,
		Action: specs.LinuxSeccompAction(in.Action),
		Args:   each(in.Args, syscallArg),
	}
	// The only number with an explicit "absent": errno 0 is a value.
	if e, ok := in.ErrnoRet.(*agentpb.LinuxSyscall_Errnoret); ok {
		v := uint(e.Errnoret)
		out.ErrnoRet = &v
	}
	return out
}

func syscallArg(in *agentpb.LinuxSeccompArg) specs.LinuxSeccompArg {
	return specs.LinuxSeccompArg{
		Index:    uint(in.Index),
		Value:    in.Value,
		ValueTwo: in.ValueTwo,
		Op:       specs.LinuxSeccompOperator(in.Op),
	}
}

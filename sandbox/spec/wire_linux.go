// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
)

func linuxToWire(in *specs.Linux) (*agentpb.Linux, error) {
	resources, err := ResourcesToWire(in.Resources)
	if err != nil {
		return nil, err
	}
	seccomp, err := seccompToWire(in.Seccomp)
	if err != nil {
		return nil, err
	}
	return &agentpb.Linux{
		UIDMappings: each(in.UIDMappings, idMapping), GIDMappings: each(in.GIDMappings, idMapping),
		Sysctl: in.Sysctl, CgroupsPath: in.CgroupsPath, RootfsPropagation: in.RootfsPropagation,
		MaskedPaths: in.MaskedPaths, ReadonlyPaths: in.ReadonlyPaths,
		Namespaces: each(in.Namespaces, func(ns specs.LinuxNamespace) *agentpb.LinuxNamespace {
			return &agentpb.LinuxNamespace{Type: string(ns.Type), Path: ns.Path}
		}),
		Devices: each(in.Devices, device), Resources: resources, Seccomp: seccomp,
	}, nil
}

func idMapping(in specs.LinuxIDMapping) *agentpb.LinuxIDMapping {
	return &agentpb.LinuxIDMapping{HostID: in.HostID, ContainerID: in.ContainerID, Size: in.Size}
}

func device(in specs.LinuxDevice) *agentpb.LinuxDevice {
	return &agentpb.LinuxDevice{
		Path: in.Path, Type: in.Type, Major: in.Major, Minor: in.Minor,
		FileMode: uint32(value(in.FileMode)), UID: value(in.UID), GID: value(in.GID),
	}
}

// ResourcesToWire is [ToWire] for limits.
func ResourcesToWire(in *specs.LinuxResources) (*agentpb.LinuxResources, error) {
	out := &agentpb.LinuxResources{}
	if in == nil {
		return out, nil
	}
	if err := first([]refusal{{"linux.resources.unified", len(in.Unified) > 0, noWire}}); err != nil {
		return nil, err
	}
	var err error
	if out.Memory, err = memoryToWire(in.Memory); err != nil {
		return nil, err
	}
	if out.CPU, err = cpuToWire(in.CPU); err != nil {
		return nil, err
	}
	out.Devices = each(in.Devices, deviceRule)
	if in.Pids != nil {
		out.Pids = &agentpb.LinuxPids{Limit: value(in.Pids.Limit)}
	}
	if in.BlockIO != nil {
		out.BlockIO = &agentpb.LinuxBlockIO{Weight: uint32(value(in.BlockIO.Weight))}
	}
	out.HugepageLimits = each(in.HugepageLimits, func(h specs.LinuxHugepageLimit) *agentpb.LinuxHugepageLimit {
		return &agentpb.LinuxHugepageLimit{Pagesize: h.Pagesize, Limit: h.Limit}
	})
	return out, nil
}

func memoryToWire(in *specs.LinuxMemory) (*agentpb.LinuxMemory, error) {
	if in == nil {
		return nil, nil
	}
	if err := first([]refusal{{"linux.resources.memory.checkBeforeUpdate", value(in.CheckBeforeUpdate), noWire}}); err != nil {
		return nil, err
	}
	return &agentpb.LinuxMemory{Limit: value(in.Limit), Reservation: value(in.Reservation)}, nil
}

func cpuToWire(in *specs.LinuxCPU) (*agentpb.LinuxCPU, error) {
	if in == nil {
		return nil, nil
	}
	if err := first([]refusal{
		{"linux.resources.cpu.burst", in.Burst != nil, noWire},
		{"linux.resources.cpu.idle", in.Idle != nil, noWire},
	}); err != nil {
		return nil, err
	}
	return &agentpb.LinuxCPU{
		Shares: value(in.Shares), Quota: value(in.Quota), Period: value(in.Period), Cpus: in.Cpus, Mems: in.Mems,
	}, nil
}

// deviceRule writes "every number" as -1, since the wire has no absence.
func deviceRule(in specs.LinuxDeviceCgroup) *agentpb.LinuxDeviceCgroup {
	out := &agentpb.LinuxDeviceCgroup{Allow: in.Allow, Type: in.Type, Major: -1, Minor: -1, Access: in.Access}
	if in.Major != nil {
		out.Major = *in.Major
	}
	if in.Minor != nil {
		out.Minor = *in.Minor
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
)

func resources(in *specs.Spec, out *agentpb.Spec, e Env) (err error) {
	if out.Linux.Resources, err = ResourcesToGuest(in.Linux.Resources, e.VCPUs); err != nil {
		return err
	}
	out.Linux.Resources.Devices = append(out.Linux.Resources.Devices, deviceRules(in, e)...)
	return nil
}

// ResourcesToGuest returns the guest's form of a container's limits, at creation
// and for an update; nil gives an empty one. vcpus is how many CPUs the guest
// has, see [Env].
func ResourcesToGuest(in *specs.LinuxResources, vcpus int) (*agentpb.LinuxResources, error) {
	out := &agentpb.LinuxResources{}
	if in == nil {
		return out, nil
	}
	if err := refuseResources(in); err != nil {
		return nil, err
	}
	for _, rule := range in.Devices {
		out.Devices = append(out.Devices, deviceRule(rule))
	}
	if in.Memory != nil {
		out.Memory = &agentpb.LinuxMemory{Limit: value(in.Memory.Limit), Reservation: value(in.Memory.Reservation)}
	}
	if in.CPU != nil {
		out.CPU = cpu(in.CPU, vcpus)
	}
	if in.Pids != nil {
		out.Pids = &agentpb.LinuxPids{Limit: value(in.Pids.Limit)}
	}
	if in.BlockIO != nil && in.BlockIO.Weight != nil {
		out.BlockIO = &agentpb.LinuxBlockIO{Weight: uint32(*in.BlockIO.Weight)}
	}
	out.HugepageLimits = hugepages(in.HugepageLimits)
	return out, nil
}

func cpu(in *specs.LinuxCPU, vcpus int) *agentpb.LinuxCPU {
	out := &agentpb.LinuxCPU{Shares: value(in.Shares), Quota: value(in.Quota), Period: value(in.Period)}
	if fits(in.Cpus, vcpus) {
		out.Cpus = in.Cpus
	}
	if fits(in.Mems, guestNodesOfMemory) {
		out.Mems = in.Mems
	}
	return out
}

// guestNodesOfMemory is how many NUMA nodes a guest has.
const guestNodesOfMemory = 1

// hugepages leaves out limits of 0, which kubelet sends for every page size of
// the host: a guest reserves no huge pages that could be used.
func hugepages(in []specs.LinuxHugepageLimit) []*agentpb.LinuxHugepageLimit {
	var out []*agentpb.LinuxHugepageLimit
	for _, h := range in {
		if h.Limit > 0 {
			out = append(out, &agentpb.LinuxHugepageLimit{Pagesize: h.Pagesize, Limit: h.Limit})
		}
	}
	return out
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

// refuseResources looks at what cgroup v2, which the guest has, does not know,
// and at what the wire lacks.
func refuseResources(in *specs.LinuxResources) error {
	if err := first([]refusal{
		{"linux.resources.unified", len(in.Unified) > 0, noWire},
		{"linux.resources.rdma", len(in.Rdma) > 0, noWire},
		{"linux.resources.network", in.Network != nil && (in.Network.ClassID != nil || len(in.Network.Priorities) > 0), noCgroupV1},
	}); err != nil {
		return err
	}
	if err := refuseMemory(in.Memory); err != nil {
		return err
	}
	if err := refuseCPU(in.CPU); err != nil {
		return err
	}
	return refuseBlockIO(in.BlockIO)
}

const (
	noCgroupV1    = "it is of cgroup v1, and the guest has v2; remove it"
	noHostNumbers = "it names devices by numbers of the host, which are others in the guest; remove it"
)

func refuseMemory(in *specs.LinuxMemory) error {
	if in == nil {
		return nil
	}
	return first([]refusal{
		{"linux.resources.memory.disableOOMKiller", value(in.DisableOOMKiller), noCgroupV1},
		{"linux.resources.memory.checkBeforeUpdate", value(in.CheckBeforeUpdate), noWire},
	})
}

func refuseCPU(in *specs.LinuxCPU) error {
	if in == nil {
		return nil
	}
	return first([]refusal{
		{"linux.resources.cpu.burst", value(in.Burst) != 0, noWire},
		{"linux.resources.cpu.idle", value(in.Idle) != 0, noWire},
		{"linux.resources.cpu.realtimeRuntime", value(in.RealtimeRuntime) != 0, noCgroupV1},
		{"linux.resources.cpu.realtimePeriod", value(in.RealtimePeriod) != 0, noCgroupV1},
	})
}

func refuseBlockIO(in *specs.LinuxBlockIO) error {
	if in == nil {
		return nil
	}
	return first([]refusal{
		{"linux.resources.blockIO.leafWeight", value(in.LeafWeight) != 0, noCgroupV1},
		{"linux.resources.blockIO.weightDevice", len(in.WeightDevice) > 0, noHostNumbers},
		{"linux.resources.blockIO.throttleReadBpsDevice", len(in.ThrottleReadBpsDevice) > 0, noHostNumbers},
		{"linux.resources.blockIO.throttleWriteBpsDevice", len(in.ThrottleWriteBpsDevice) > 0, noHostNumbers},
		{"linux.resources.blockIO.throttleReadIOPSDevice", len(in.ThrottleReadIOPSDevice) > 0, noHostNumbers},
		{"linux.resources.blockIO.throttleWriteIOPSDevice", len(in.ThrottleWriteIOPSDevice) > 0, noHostNumbers},
	})
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

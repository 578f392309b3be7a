// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"github.com/opencontainers/runtime-spec/specs-go"
)

func resources(in, out *specs.Spec, e Env) (err error) {
	if out.Linux.Resources, err = ResourcesToGuest(in.Linux.Resources, e.VCPUs); err != nil {
		return err
	}
	out.Linux.Resources.Devices = append(out.Linux.Resources.Devices, deviceRules(in, e)...)
	return nil
}

// ResourcesToGuest returns the guest's form of a container's limits, at creation
// and for an update; nil gives an empty one. vcpus is how many CPUs the guest
// has, see [Env].
func ResourcesToGuest(in *specs.LinuxResources, vcpus int) (*specs.LinuxResources, error) {
	out := &specs.LinuxResources{}
	if in == nil {
		return out, nil
	}
	if err := refuseResources(in); err != nil {
		return nil, err
	}
	out.Devices = append(out.Devices, in.Devices...)
	if in.Memory != nil {
		out.Memory = &specs.LinuxMemory{
			Limit: given(in.Memory.Limit), Reservation: given(in.Memory.Reservation), CheckBeforeUpdate: given(in.Memory.CheckBeforeUpdate),
		}
	}
	if in.CPU != nil {
		out.CPU = cpu(in.CPU, vcpus)
	}
	if in.Pids != nil && value(in.Pids.Limit) != 0 {
		out.Pids = in.Pids
	}
	if in.BlockIO != nil && value(in.BlockIO.Weight) != 0 {
		out.BlockIO = &specs.LinuxBlockIO{Weight: in.BlockIO.Weight}
	}
	out.HugepageLimits = hugepages(in.HugepageLimits)
	var err error
	out.Unified, err = unified(in.Unified, vcpus)
	return out, err
}

func cpu(in *specs.LinuxCPU, vcpus int) *specs.LinuxCPU {
	out := &specs.LinuxCPU{
		Shares: given(in.Shares), Quota: given(in.Quota), Period: given(in.Period), Burst: given(in.Burst), Idle: given(in.Idle),
	}
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
func hugepages(in []specs.LinuxHugepageLimit) []specs.LinuxHugepageLimit {
	var out []specs.LinuxHugepageLimit
	for _, h := range in {
		if h.Limit > 0 {
			out = append(out, h)
		}
	}
	return out
}

// refuseResources looks at what cgroup v2, which the guest has, does not know.
func refuseResources(in *specs.LinuxResources) error {
	if err := first([]refusal{
		{"linux.resources.rdma", len(in.Rdma) > 0, "the guest has no RDMA devices; remove it"},
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
	})
}

func refuseCPU(in *specs.LinuxCPU) error {
	if in == nil {
		return nil
	}
	return first([]refusal{
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

// given is p unless it is zero, which engines write for what nobody asked for.
func given[T comparable](p *T) *T {
	if p == nil || *p == *new(T) {
		return nil
	}
	return p
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

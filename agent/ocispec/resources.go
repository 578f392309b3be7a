// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"math"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
)

func resources(in *agentpb.LinuxResources) *specs.LinuxResources {
	if in == nil {
		return nil
	}
	return &specs.LinuxResources{
		Devices:        each(in.Devices, deviceRule),
		Memory:         memory(in.Memory),
		CPU:            cpu(in.CPU),
		Pids:           pids(in.Pids),
		BlockIO:        blockIO(in.BlockIO),
		HugepageLimits: each(in.HugepageLimits, hugepageLimit),
		Network:        network(in.Network),
	}
}

// deviceRule reads a device rule. The wire says "any number" as -1, or as 0 in
// a rule for all devices: those who write rules leave the number of such a rule
// out, and device 0 does not exist.
func deviceRule(in *agentpb.LinuxDeviceCgroup) specs.LinuxDeviceCgroup {
	out := specs.LinuxDeviceCgroup{Allow: in.Allow, Type: in.Type, Access: in.Access}
	major, minor := in.Major, in.Minor
	if major == 0 && minor == 0 {
		major, minor = -1, -1
	}
	out.Major, out.Minor = &major, &minor
	return out
}

func memory(in *agentpb.LinuxMemory) *specs.LinuxMemory {
	if in == nil {
		return nil
	}
	return &specs.LinuxMemory{
		Limit:       present(in.Limit),
		Reservation: present(in.Reservation),
		Swap:        present(in.Swap),
		//lint:ignore SA1019 deprecated, but on the wire
		Kernel:           present(in.Kernel),
		KernelTCP:        present(in.KernelTCP),
		Swappiness:       present(in.Swappiness),
		DisableOOMKiller: present(in.DisableOOMKiller),
	}
}

func cpu(in *agentpb.LinuxCPU) *specs.LinuxCPU {
	if in == nil {
		return nil
	}
	return &specs.LinuxCPU{
		Shares:          present(in.Shares),
		Quota:           present(in.Quota),
		Period:          present(in.Period),
		RealtimeRuntime: present(in.RealtimeRuntime),
		RealtimePeriod:  present(in.RealtimePeriod),
		Cpus:            in.Cpus,
		Mems:            in.Mems,
	}
}

func pids(in *agentpb.LinuxPids) *specs.LinuxPids {
	if in == nil || in.Limit == 0 {
		return nil
	}
	limit := in.Limit
	return &specs.LinuxPids{Limit: &limit}
}

func blockIO(in *agentpb.LinuxBlockIO) *specs.LinuxBlockIO {
	if in == nil {
		return nil
	}
	return &specs.LinuxBlockIO{
		Weight:                  weight(in.Weight),
		LeafWeight:              weight(in.LeafWeight),
		WeightDevice:            each(in.WeightDevice, weightDevice),
		ThrottleReadBpsDevice:   each(in.ThrottleReadBpsDevice, throttleDevice),
		ThrottleWriteBpsDevice:  each(in.ThrottleWriteBpsDevice, throttleDevice),
		ThrottleReadIOPSDevice:  each(in.ThrottleReadIOPSDevice, throttleDevice),
		ThrottleWriteIOPSDevice: each(in.ThrottleWriteIOPSDevice, throttleDevice),
	}
}

func weightDevice(in *agentpb.LinuxWeightDevice) specs.LinuxWeightDevice {
	return specs.LinuxWeightDevice{
		LinuxBlockIODevice: specs.LinuxBlockIODevice{Major: in.Major, Minor: in.Minor},
		Weight:             weight(in.Weight),
		LeafWeight:         weight(in.LeafWeight),
	}
}

func throttleDevice(in *agentpb.LinuxThrottleDevice) specs.LinuxThrottleDevice {
	return specs.LinuxThrottleDevice{
		LinuxBlockIODevice: specs.LinuxBlockIODevice{Major: in.Major, Minor: in.Minor},
		Rate:               in.Rate,
	}
}

func hugepageLimit(in *agentpb.LinuxHugepageLimit) specs.LinuxHugepageLimit {
	return specs.LinuxHugepageLimit{Pagesize: in.Pagesize, Limit: in.Limit}
}

func network(in *agentpb.LinuxNetwork) *specs.LinuxNetwork {
	if in == nil || in.ClassID == 0 && len(in.Priorities) == 0 {
		return nil
	}
	return &specs.LinuxNetwork{
		ClassID: present(in.ClassID),
		Priorities: each(in.Priorities, func(p *agentpb.LinuxInterfacePriority) specs.LinuxInterfacePriority {
			return specs.LinuxInterfacePriority{Name: p.Name, Priority: p.Priority}
		}),
	}
}

// weight reads a weight. One too large for the specification's type becomes the
// largest, which the runtime refuses, rather than a small one by overflow.
func weight(in uint32) *uint16 {
	return present(uint16(min(in, math.MaxUint16)))
}

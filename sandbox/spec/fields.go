// SPDX-License-Identifier: Apache-2.0

package spec

// A field is written as its path of Go names from specs.Spec, elements of lists
// and maps left out: "Linux.Devices.Path". A path stands for all below it.

// Applied are the fields that have their effect: in the guest, or where a
// comment says so on the host.
func Applied() []string {
	return []string{
		"Version", "Hostname", "Domainname", "Annotations",
		"Process.Terminal", "Process.ConsoleSize", "Process.Args", "Process.Env", "Process.Cwd",
		"Process.User",
		"Process.Capabilities", "Process.Rlimits", "Process.NoNewPrivileges", "Process.OOMScoreAdj",
		"Process.Scheduler", "Process.IOPriority", "Process.ExecCPUAffinity",
		// The storage plan looks at these; the guest gets its own.
		"Root.Path", "Mounts",
		"Root.Readonly",
		// These run on the host, see ForHost.
		"Hooks.Prestart", "Hooks.CreateRuntime", "Hooks.Poststart", "Hooks.Poststop",
		"Hooks.StartContainer",
		"Linux.UIDMappings", "Linux.GIDMappings", "Linux.Sysctl", "Linux.Personality.Domain",
		"Linux.Namespaces", "Linux.Devices", "Linux.RootfsPropagation", "Linux.MaskedPaths", "Linux.ReadonlyPaths",
		// The parent of the pod's cgroup on the host.
		"Linux.CgroupsPath",
		"Linux.Seccomp.DefaultAction", "Linux.Seccomp.DefaultErrnoRet", "Linux.Seccomp.Architectures", "Linux.Seccomp.Flags", "Linux.Seccomp.Syscalls",
		"Linux.Resources.Devices", "Linux.Resources.Memory.Limit", "Linux.Resources.Memory.Reservation",
		"Linux.Resources.Memory.CheckBeforeUpdate",
		"Linux.Resources.CPU.Shares", "Linux.Resources.CPU.Quota", "Linux.Resources.CPU.Period",
		"Linux.Resources.CPU.Burst", "Linux.Resources.CPU.Idle",
		"Linux.Resources.CPU.Cpus", "Linux.Resources.CPU.Mems", "Linux.Resources.Pids",
		"Linux.Resources.BlockIO.Weight", "Linux.Resources.HugepageLimits", "Linux.Resources.Unified",
	}
}

// Refused are the fields that refuse a container when they are set. An agent
// without the feature of package ocijson has more of them, see [ToWire]. The labels
// and profiles among them have the exceptions of the package comment.
func Refused() []string {
	return []string{
		"Solaris", "Windows", "VM", "ZOS", "FreeBSD",
		"Process.CommandLine", "Process.ApparmorProfile", "Process.SelinuxLabel",
		"Hooks.CreateContainer",
		"Linux.NetDevices", "Linux.MountLabel", "Linux.IntelRdt", "Linux.MemoryPolicy", "Linux.Personality.Flags", "Linux.TimeOffsets",
		"Linux.Seccomp.ListenerPath", "Linux.Seccomp.ListenerMetadata",
		"Linux.Resources.Memory.DisableOOMKiller",
		"Linux.Resources.CPU.RealtimeRuntime", "Linux.Resources.CPU.RealtimePeriod",
		"Linux.Resources.BlockIO.LeafWeight", "Linux.Resources.BlockIO.WeightDevice",
		"Linux.Resources.BlockIO.ThrottleReadBpsDevice", "Linux.Resources.BlockIO.ThrottleWriteBpsDevice",
		"Linux.Resources.BlockIO.ThrottleReadIOPSDevice", "Linux.Resources.BlockIO.ThrottleWriteIOPSDevice",
		"Linux.Resources.Network", "Linux.Resources.Rdma",
	}
}

// NoOp are the fields that change nothing, each because there is nothing left to
// do.
func NoOp() []string {
	return []string{
		// The guest has no swap: what may be swapped never is.
		"Linux.Resources.Memory.Swap", "Linux.Resources.Memory.Swappiness",
		// Linux 6.1 and later have no limits of kernel memory apart from Limit,
		// which counts it; the specification advises against them.
		"Linux.Resources.Memory.Kernel", "Linux.Resources.Memory.KernelTCP",
		// cgroup v2 always counts hierarchically.
		"Linux.Resources.Memory.UseHierarchy",
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/opencontainers/runtime-spec/specs-go"
)

// fileRows are about the kernel's file systems.
func fileRows() []row {
	return []row{
		{about: "sys", name: "/sys is read-only", change: args("/bin/probe", "try", "create:/sys/x", "mkdir:/sys/fs/x", "write:/sys/kernel/uevent_seqnum", "read:/sys/kernel/mm/transparent_hugepage/enabled")},
		{about: "sys", name: "/sys shows the pod's interfaces", script: "ls /sys/class/net; cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu"},
		{about: "proc", name: "/proc/sys of the pod's network", script: "ls /proc/sys/net/ipv4/conf; cat /proc/sys/net/ipv4/ip_forward"},
		{about: "proc", name: "/proc/filesystems and the like can be read", change: args("/bin/probe", "try", "read:/proc/filesystems", "read:/proc/meminfo", "read:/proc/cpuinfo", "read:/proc/mounts", "read:/proc/stat", "read:/proc/uptime", "read:/proc/loadavg", "read:/proc/version", "read:/proc/1/environ", "read:/proc/self/auxv", "read:/proc/self/maps", "read:/proc/net/dev")},
		{about: "proc", name: "/proc for a user", change: with(asUser(1000), args("/bin/probe", "try", "read:/proc/1/environ", "read:/proc/self/mem", "write:/proc/self/oom_score_adj", "write:/proc/self/comm", "read:/proc/self/auxv"))},
		{about: "cgroup", name: "version of the control groups", script: "grep -c : /proc/self/cgroup; probe try mkdir:/sys/fs/cgroup/x"},
	}
}

// deviceRows are about /dev.
func deviceRows() []row {
	device := func(d specs.LinuxDevice) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Linux.Devices = append(s.Linux.Devices, d) }
	}
	allowed := func(kind string, major, minor *int64, access string) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Linux.Resources.Devices = append(s.Linux.Resources.Devices, specs.LinuxDeviceCgroup{Allow: true, Type: kind, Major: major, Minor: minor, Access: access})
		}
	}
	tun := specs.LinuxDevice{Path: "/dev/net/tun", Type: "c", Major: 10, Minor: 200, FileMode: pointer(specsMode(0o620)), UID: pointer(uint32(1000)), GID: pointer(uint32(2000))}
	fuse := specs.LinuxDevice{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229, FileMode: pointer(specsMode(0o666))}
	null := specs.LinuxDevice{Path: "/dev/mynull", Type: "c", Major: 1, Minor: 3, FileMode: pointer(specsMode(0o600))}
	return []row{
		{about: "dev", name: "/dev", change: args("/bin/probe", "list", "/dev")},
		{about: "dev", name: "/dev with a terminal", change: with(onTerminal(80, 24), args("/bin/probe", "list", "/dev"))},
		{about: "dev", name: "/dev/pts and /dev/shm and /dev/mqueue", script: "probe list /dev/pts; ls -ld /dev/pts /dev/shm /dev/mqueue | cut -c1-10; df -k /dev /dev/shm | awk '{print $2, $6}'"},
		{about: "dev", name: "devices in use", change: args("/bin/probe", "try", "write:/dev/null", "read:/dev/null", "read:/dev/zero", "write:/dev/zero", "write:/dev/full", "read:/dev/full", "read:/dev/random", "read:/dev/urandom", "open:/dev/tty", "open:/dev/ptmx", "open:/dev/console", "open:/dev/stdout", "open:/dev/pts/ptmx")},
		{about: "dev", name: "devices in use by a user", change: with(asUser(1000), args("/bin/probe", "try", "write:/dev/null", "read:/dev/random", "write:/dev/urandom", "open:/dev/ptmx", "open:/dev/tty", "create:/dev/x", "create:/dev/shm/x", "create:/dev/mqueue/x"))},
		{about: "dev", name: "terminals of the container's own", script: "script -q -c 'tty; ls -l $(tty) | cut -c1-10; stty size' /dev/null </dev/null | tr -d '\\r'"},
		{about: "devices", name: "additional device", change: with(device(tun), allowed("c", pointer(int64(10)), pointer(int64(200)), "rwm"), args("/bin/probe", "list", "/dev/net"))},
		{about: "devices", name: "additional device, in use", change: with(device(tun), allowed("c", pointer(int64(10)), pointer(int64(200)), "rwm"), args("/bin/probe", "try", "open:/dev/net/tun"))},
		{about: "devices", name: "additional device that the rules deny", change: with(device(fuse), args("/bin/probe", "try", "open:/dev/fuse"))},
		{about: "devices", name: "/dev/net/tun without a rule", script: "mkdir -p /tmp/net && mknod /tmp/net/tun c 10 200 && probe try open:/tmp/net/tun"},
		{about: "devices", name: "additional device under another name", change: with(device(null), args("/bin/probe", "try", "write:/dev/mynull"))},
		{about: "devices", name: "a device that the process makes", script: "mknod /tmp/null c 1 3; mknod /tmp/mem c 1 1; mknod /tmp/loop b 7 0; probe try write:/tmp/null read:/tmp/mem read:/tmp/loop"},
		{about: "devices", name: "a device that may be read only", change: allowed("c", pointer(int64(1)), pointer(int64(11)), "r"), script: "mknod /tmp/kmsg c 1 11; probe try write:/tmp/kmsg; mknod /tmp/other c 1 12; probe try open:/tmp/other"},
	}
}

// limitRows are about the control group and memory.
func limitRows() []row {
	limits := func(s *specs.Spec) {
		s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: pointer(int64(96 << 20))}
		s.Linux.Resources.Pids = &specs.LinuxPids{Limit: pointer(int64(77))}
		s.Linux.Resources.CPU = &specs.LinuxCPU{Quota: pointer(int64(50000)), Period: pointer(uint64(100000)), Cpus: "0"}
	}
	memory := func(s *specs.Spec) { s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: pointer(int64(32 << 20))} }
	return []row{
		{about: "cgroup", name: "limits as the container sees them", change: with(limits, args("/bin/probe", "see", "limits"))},
		{about: "cgroup", name: "limit of processes, in effect", change: func(s *specs.Spec) { s.Linux.Resources.Pids = &specs.LinuxPids{Limit: pointer(int64(8))} },
			script: "i=0; while [ $i -lt 20 ]; do sleep 100 & i=$((i+1)); done 2>/dev/null; echo not reached"},
		{about: "cgroup", name: "cpuset, in effect", change: limits, script: "nproc; grep Cpus_allowed_list /proc/self/status"},
		{about: "oom", name: "out of memory: the first process", change: with(memory, args("/bin/probe", "eat", "100000000"))},
		{about: "oom", name: "out of memory: a child", change: memory, script: "probe eat 100000000; echo $?; echo alive"},
		{about: "oom", name: "memory within the limit", change: memory, script: "head -c 10000000 /dev/zero | tail -c 10000000 | wc -c"},
	}
}

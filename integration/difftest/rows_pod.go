// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// podRows are about what the pod's containers share.
func podRows() []row {
	sysctls := "cat"
	for _, name := range []string{
		"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_keepalive_time", "net.core.somaxconn",
		"kernel.msgmax", "kernel.shm_rmid_forced", "fs.mqueue.msg_max",
	} {
		sysctls += " /proc/sys/" + strings.ReplaceAll(name, ".", "/")
	}
	return []row{
		{about: "hostname", name: "hostname of the pod", script: "hostname; cat /proc/sys/kernel/hostname /etc/hostname; echo $HOSTNAME; cat /proc/sys/kernel/domainname"},
		{about: "hostname", name: "hostname may not be changed", change: args("/bin/probe", "try", "host:other", "write:/proc/sys/kernel/hostname")},
		{about: "hosts", name: "hosts", script: "cat /etc/hosts; ping -c 1 -W 5 localhost | grep -c 'bytes from'; ls -l /etc/hosts | cut -c1-10"},
		{about: "resolv.conf", name: "resolv.conf", script: "cat /etc/resolv.conf; ls -l /etc/resolv.conf | cut -c1-10"},
		{about: "resolv.conf", name: "resolv.conf and hosts can be written", change: args("/bin/probe", "try", "write:/etc/resolv.conf", "write:/etc/hosts", "remove:/etc/hosts")},
		{about: "sysctls", name: "sysctls of the pod", script: sysctls},
		{about: "sysctls", name: "sysctls of the pod, in effect", change: asUser(1000), script: "probe try socket:ping socket:raw; ping -c 1 -W 5 127.0.0.1 | grep -c 'bytes from'; timeout -s KILL 5 nc -l -p 80 </dev/null & until grep -q ':0050 ' /proc/net/tcp*; do :; done; echo listening on 80"},
		{about: "proc", name: "interfaces", change: args("/bin/probe", "see", "interfaces")},
		{about: "proc", name: "routes", script: "ip route; ip -6 route | grep -v fe80"},
		{about: "dev", name: "/dev/shm is the pod's", script: "echo of the pod >/dev/shm/shared; cat /dev/shm/shared; rm /dev/shm/shared; df -k /dev/shm | awk '{print $2}'"},
		{about: "proc", name: "ipc of the pod", script: "probe shm-put 77 text && probe shm-get 77 && ipcs -m | grep -c 0x"},
		{about: "proc", name: "namespaces", script: "ls /proc/self/ns; [ $(readlink /proc/self/ns/pid) = $(readlink /proc/1/ns/pid) ] && echo one pid namespace"},
	}
}

// loneRows are about containers without a pod, each in a VM of its own.
func loneRows() []row {
	mapped := func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 200000, Size: 65536}}
	}
	return []row{
		{about: "hostname", name: "lone: hostname", lone: true, script: "hostname; cat /proc/sys/kernel/hostname"},
		{about: "hostname", name: "lone: domain name", lone: true, change: func(s *specs.Spec) { s.Domainname = "domain.test" }, script: "hostname; cat /proc/sys/kernel/domainname"},
		{about: "sysctls", name: "lone: sysctls", lone: true, change: func(s *specs.Spec) { s.Linux.Sysctl = podSysctls() }, script: "cat /proc/sys/kernel/msgmax /proc/sys/net/core/somaxconn /proc/sys/fs/mqueue/msg_max"},
		{about: "mounts", name: "lone: mounts", lone: true, script: ownMounts},
		{about: "proc", name: "lone: a network of its own", lone: true, script: "probe see interfaces; ip route; ping -c 1 -W 5 127.0.0.1 | grep -c 'bytes from'"},
		{about: "user", name: "lone: what the process sees of itself", lone: true, change: args("/bin/probe", "see", "user", "capabilities", "security", "process", "streams")},
		{about: "cgroup", name: "lone: limits", lone: true, change: func(s *specs.Spec) {
			s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: pointer(int64(64 << 20))}
			s.Linux.Resources.Pids = &specs.LinuxPids{Limit: pointer(int64(55))}
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"}})
		}, script: "probe see limits | grep -E '^(memory|processes) [0-9]'"},
		{about: "user namespaces", name: "user namespace: ids", lone: true, change: with(mapped, args("/bin/probe", "see", "user", "capabilities", "process"))},
		{about: "user namespaces", name: "user namespace: files", lone: true, change: mapped, script: "ls -ld / /etc /bin/sh /proc/1 /tmp | awk '{print $1, $3, $4, $9}'; probe try write:/dev/null read:/dev/urandom open:/dev/ptmx; probe try create:/tmp/x create:/dev/shm/x device:/tmp/n chown:/tmp/x write:/proc/sys/kernel/hostname"},
		{about: "user namespaces", name: "user namespace: another user", lone: true, change: with(mapped, asUser(1000)), script: "id -u; id -g; cat /proc/self/uid_map; ls -ln /tmp -d | awk '{print $3}'; probe try setuid:0"},
	}
}

// SPDX-License-Identifier: Apache-2.0

package spectest

// words are what a spec's strings are made of.
func words() []string {
	return []string{
		"", "/", ".", "..", "\x00", "a\x00b", "ä", "x,y=z", "/../../etc/passwd", "//d//..//e", "%s%n", "9999999999999999999999",
		// Namespaces.
		"pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time",
		// Types of mounts and devices.
		"bind", "proc", "sysfs", "tmpfs", "mqueue", "devpts", "cgroup2", "overlay", "ext4", "erofs", "xfs", "mkfs/ext4", "format/mkdir/overlay",
		"none", "b", "c", "p", "a", "rwm",
		// Options.
		"rbind", "ro", "rw", "rro", "rprivate", "rshared", "size=64k", "size=-1", "size=50%", "mode=1777", "lowerdir=/etc:/usr", "loop",
		"X-containerd.mkfs.size=1", "index=off", "userxattr",
		// Places in a container.
		"/proc", "/proc/self/attr", "/proc/meminfo", "/sys", "/sys/fs/cgroup", "/dev", "/dev/shm", "/dev/null", "/dev/sda", "/etc/hosts",
		"/etc/resolv.conf", "/vol", "/vol/", "/dev/net/tun",
		// Places on the host.
		Host + "/d", Host + "/f", Host + "/b/1", Host + "/c", Host + "/s", Host + "/t", Host + "/absent", Host + "/t/kubernetes.io~empty-dir/m",
		Host + "/sandboxes/1/shm",
		// Annotations and their values.
		"io.kubernetes.cri.container-type", "sandbox", "container", "io.kubernetes.cri.sandbox-id", "io.kubernetes.cri.sandbox-memory",
		"io.kubernetes.cri.sandbox-cpu-quota", "io.kubernetes.cri.sandbox-cpu-shares", "io.katacontainers.config.hypervisor.default_vcpus",
		"io.katacontainers.config.hypervisor.default_memory", "io.katacontainers.config.hypervisor.shared_fs", "true", "false", "-1", "4096",
		// Others.
		"CAP_SYS_ADMIN", "RLIMIT_NOFILE", "unconfined", "cri-containerd.apparmor.d", "system_u:object_r:x", "0-3,7", "0", "SCMP_ACT_ERRNO",
		"SCMP_ARCH_X86_64", "net.core.somaxconn", "kernel/../../x", "shared", "slave", "2MB", "c1", "linux", "1.0.2",
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// securityRows are about who the process is and what it may do.
func securityRows() []row {
	see := []string{"/bin/probe", "see", "user", "capabilities", "security"}
	privileged := slices.DeleteFunc(everyCapability(), func(c string) bool {
		return c == "CAP_SYS_RESOURCE" // which a machine in a container may lack itself
	})
	rows := []row{
		{about: "user", name: "user: root", change: args(see...)},
		{about: "user", name: "user: 1000", change: with(asUser(1000), args(see...))},
		{about: "user", name: "user: 1000 in group 0", change: with(args(see...), func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000} })},
		{about: "user", name: "user: additional groups", change: with(args(see...), func(s *specs.Spec) {
			s.Process.User = specs.User{UID: 7, GID: 8, AdditionalGids: []uint32{9, 5000, 8, 4000000000}}
		})},
		{about: "user", name: "user: the largest", change: with(asUser(4294967294), args(see...))},
		{about: "user", name: "user: may not become another", change: with(asUser(1000), args("/bin/probe", "try", "setuid:1001", "create:/x", "chown:/tmp", "chroot:/", "read:/root", "nice:-1"))},
		{about: "user", name: "user: root becomes another", change: args("/bin/probe", "try", "setuid:1001", "create:/x", "chown:/x", "chmod:/x", "chroot:/")},
		{about: "capabilities", name: "capabilities: none", change: with(noCapabilities, args(see...))},
		{about: "capabilities", name: "capabilities: none, in effect", change: with(noCapabilities, args("/bin/probe", "try", "chown:/tmp", "device:/d", "socket:raw", "chroot:/", "setuid:1", "read:/root"))},
		{about: "capabilities", name: "capabilities: all", change: with(capabilities(privileged), args(see...))},
		{about: "capabilities", name: "capabilities: ambient, for a user", change: with(asUser(1000), args(see...), func(s *specs.Spec) {
			both := []string{"CAP_NET_BIND_SERVICE", "CAP_CHOWN"}
			s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: both, Effective: both, Permitted: both, Inheritable: both, Ambient: both}
		})},
		{about: "capabilities", name: "capabilities: inheritable", change: with(args(see...), func(s *specs.Spec) {
			s.Process.Capabilities.Inheritable = []string{"CAP_KILL", "CAP_CHOWN"}
		})},
		{about: "capabilities", name: "capabilities: effective fewer than permitted", change: with(args(see...), func(s *specs.Spec) {
			s.Process.Capabilities.Effective = []string{"CAP_KILL"}
		})},
		{about: "capabilities", name: "capabilities: none given", change: with(args(see...), func(s *specs.Spec) { s.Process.Capabilities = nil })},
		{about: "noNewPrivs", name: "no new privileges: set-user-id does not raise", change: noNewPrivileges(true), script: raise},
		{about: "noNewPrivs", name: "new privileges: set-user-id raises", change: noNewPrivileges(false), script: raise},
		{about: "noNewPrivs", name: "no new privileges: what the process sees", change: with(noNewPrivileges(true), args(see...))},
	}
	return append(append(rows, seccompRows()...), hiddenRows()...)
}

const raise = "cp /bin/probe /tmp/raise && chmod 4755 /tmp/raise && exec probe as 1000 /tmp/raise euid"

func noNewPrivileges(set bool) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Process.NoNewPrivileges = set }
}

func noCapabilities(s *specs.Spec) { s.Process.Capabilities = &specs.LinuxCapabilities{} }

func capabilities(all []string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
	}
}

// everyCapability lists those of Linux 5.9 and later (linux/capability.h).
func everyCapability() []string {
	return strings.Fields(`CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID
		CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW
		CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT
		CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE
		CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM
		CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE`)
}

// forbidden are system calls that the default profile denies, or allows in part.
func forbidden() []string {
	words := []string{"/bin/probe", "try", "mount:/tmp", "host:other", "socket:vsock"}
	for _, number := range []int{
		unix.SYS_ADD_KEY, unix.SYS_BPF, unix.SYS_CLONE3, unix.SYS_DELETE_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_IO_URING_SETUP,
		unix.SYS_IOPERM, unix.SYS_KEYCTL, unix.SYS_MOVE_PAGES, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT,
		unix.SYS_PERF_EVENT_OPEN, unix.SYS_PIVOT_ROOT, unix.SYS_REQUEST_KEY, unix.SYS_SETNS, unix.SYS_UNSHARE, unix.SYS_USERFAULTFD,
		unix.SYS_QUOTACTL, unix.SYS_PERSONALITY,
	} {
		words = append(words, fmt.Sprintf("call:%d", number))
	}
	return words
}

func seccompRows() []row {
	deny := func(action specs.LinuxSeccompAction, errno *uint, names ...string) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{
				DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86},
				Syscalls: []specs.LinuxSyscall{{Names: names, Action: action, ErrnoRet: errno}},
			}
		}
	}
	return []row{
		{about: "seccomp", name: "seccomp: what the default profile denies", change: args(forbidden()...)},
		{about: "seccomp", name: "seccomp: the default profile and all capabilities", change: with(capabilities([]string{"CAP_CHOWN", "CAP_SYS_CHROOT"}), args(forbidden()...))},
		{about: "seccomp", name: "seccomp: an error of its own", change: with(deny(specs.ActErrno, pointer(uint(unix.ENOSPC)), "mkdir", "mkdirat"), args("/bin/probe", "try", "mkdir:/d", "create:/f"))},
		{about: "seccomp", name: "seccomp: the error when none is given", change: with(deny(specs.ActErrno, nil, "mkdir", "mkdirat"), args("/bin/probe", "try", "mkdir:/d", "create:/f"))},
		{about: "seccomp", name: "seccomp: the call ends the process", change: deny(specs.ActKillProcess, nil, "mkdir", "mkdirat"), script: "sh -c 'mkdir /d'; echo $?"},
		{about: "seccomp", name: "seccomp: the call traps", change: deny(specs.ActTrap, nil, "mkdir", "mkdirat"), script: "sh -c 'mkdir /d'; echo $?"},
		{about: "seccomp", name: "seccomp: by an argument", change: with(args("/bin/probe", "try", "socket:raw", "socket:netlink", "socket:packet"), func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{
				DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64},
				Syscalls: []specs.LinuxSyscall{{
					Names: []string{"socket"}, Action: specs.ActErrno, ErrnoRet: pointer(uint(unix.EAFNOSUPPORT)),
					Args: []specs.LinuxSeccompArg{{Index: 0, Value: unix.AF_NETLINK, Op: specs.OpEqualTo}},
				}},
			}
		})},
		{about: "seccomp", name: "seccomp: the default is another error", change: with(args("/bin/probe", "try", "mkdir:/d", "create:/f"), func(s *specs.Spec) {
			s.Linux.Seccomp.DefaultErrnoRet = pointer(uint(unix.ENOSYS))
			for i, rule := range s.Linux.Seccomp.Syscalls {
				s.Linux.Seccomp.Syscalls[i].Names = slices.DeleteFunc(slices.Clone(rule.Names), func(n string) bool { return n == "mkdir" || n == "mkdirat" })
			}
		})},
		{about: "seccomp", name: "seccomp: none", change: with(func(s *specs.Spec) { s.Linux.Seccomp = nil }, args("/bin/probe", "see", "security"))},
	}
}

func hiddenRows() []row {
	return []row{
		{about: "hidden paths", name: "masked paths", change: func(s *specs.Spec) {
			s.Process.Args = []string{"/bin/probe", "try"}
			for _, path := range s.Linux.MaskedPaths {
				s.Process.Args = append(s.Process.Args, "hide:"+path)
			}
		}},
		{about: "hidden paths", name: "masked paths of the root", change: with(
			args("/bin/probe", "try", "hide:/etc/passwd", "hide:/root", "read:/etc/passwd", "write:/etc/passwd", "create:/root/x", "hide:/none"),
			func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/etc/passwd", "/root", "/none"} })},
		{about: "hidden paths", name: "read-only paths", script: `for p in /proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger; do
	echo $p $(grep " $p " /proc/self/mountinfo | cut -d' ' -f6); done
probe try write:/proc/sys/kernel/domainname write:/proc/sysrq-trigger create:/proc/sys/x`},
		{about: "hidden paths", name: "read-only paths of the root", change: with(
			args("/bin/probe", "try", "write:/etc/passwd", "create:/root/x", "create:/tmp/x", "read:/etc/passwd"),
			func(s *specs.Spec) { s.Linux.ReadonlyPaths = []string{"/etc/passwd", "/root", "/none"} })},
		{about: "hidden paths", name: "no masked and no read-only paths", change: func(s *specs.Spec) { s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil },
			script: "grep -E ' /(proc|sys)/' /proc/self/mountinfo | grep -v cgroup | cut -d' ' -f5,6"},
	}
}

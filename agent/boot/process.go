// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// maxFiles is the limit of open files that the agent and what it starts have;
// containers get their own from their specification.
const maxFiles = 1 << 20

// Environment is what programs that the agent runs find.
func Environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "TERM=linux"}
}

// Protect keeps the OOM killer away from the agent, sets its limits, and clears
// what a kernel command line may have left in its environment.
func Protect(coreDumps bool) error {
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0); err != nil {
		return fmt.Errorf("keep the OOM killer away from the agent: %w", err)
	}
	files := unix.Rlimit{Cur: maxFiles, Max: maxFiles}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	core := unix.Rlimit{Max: unix.RLIM_INFINITY} // containers inherit it, and may ask for dumps
	if coreDumps {
		core.Cur = unix.RLIM_INFINITY
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &core); err != nil {
		return fmt.Errorf("set the limit of core dumps: %w", err)
	}
	unix.Umask(0o022)
	os.Clearenv()
	for _, entry := range Environment() {
		name, value := split(entry)
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("set the environment: %w", err)
		}
	}
	return nil
}

func split(entry string) (name, value string) {
	for i := range entry {
		if entry[i] == '=' {
			return entry[:i], entry[i+1:]
		}
	}
	return entry, ""
}

// RemoveStrays removes the links that drivers built into the kernel make by
// themselves (dummy0, ifb0, ...): a pod has only the links that the host gives
// it. Links of hardware and the loopback device stay. Drivers make none when the
// kernel's command line says so, and then this costs a look into sysfs.
func RemoveStrays() error {
	entries, err := os.ReadDir("/sys/class/net")
	if err != nil {
		return fmt.Errorf("list the links: %w", err)
	}
	if !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return mayBeStray(e.Name()) }) {
		return nil
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list the links: %w", err)
	}
	for _, l := range links {
		if l.Type() != "dummy" && l.Type() != "ifb" {
			continue
		}
		if err := netlink.LinkDel(l); err != nil {
			return fmt.Errorf("remove the link %s: %w", l.Attrs().Name, err)
		}
	}
	return nil
}

func mayBeStray(name string) bool {
	return strings.HasPrefix(name, "dummy") || strings.HasPrefix(name, "ifb")
}

// Loopback brings the loopback device up; the kernel gives it its addresses. It
// does so by ioctl, which an emulated guest does in a tenth of the time that the
// first netlink message takes (5 against 55 ms).
func Loopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket to bring the loopback device up: %w", err)
	}
	defer func() { _ = unix.Close(s) }()
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("name the loopback device: %w", err)
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFFLAGS, lo); err != nil {
		return fmt.Errorf("find the loopback device: %w", err)
	}
	lo.SetUint16(lo.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring the loopback device up: %w", err)
	}
	return nil
}

// Uptime returns how long the guest's kernel has run, by the clock of its own
// messages.
func Uptime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

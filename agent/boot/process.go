// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"fmt"
	"os"
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
	core := unix.Rlimit{}
	if coreDumps {
		core = unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
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
// it. Links of hardware and the loopback device stay.
func RemoveStrays() error {
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

// Loopback brings the loopback device up; the kernel gives it its addresses.
func Loopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback device: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
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

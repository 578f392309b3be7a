// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// see prints what this process finds out about itself, part by part: one fact for each line, sorted where the kernel
// gives no order, so that two runs can be compared. (Limits and signals are left to busybox: Go's runtime changes its
// own.)
func see(parts []string) error {
	known := map[string]func() error{
		"user":         seeUser,         // ids, groups, umask
		"capabilities": seeCapabilities, // the five sets, as numbers
		"security":     seeSecurity,     // no_new_privs, seccomp, securebits, dumpable
		"process":      seeProcess,      // parent, group, session, scheduling, personality
		"streams":      seeStreams,      // what descriptors are open, and what they lead to
		"mounts":       seeMounts,       // every mount with its flags and options
		"limits":       seeLimits,       // of the cgroup, whichever version it has
		"interfaces":   seeInterfaces,   // with addresses and routes
	}
	for _, part := range parts {
		call := known[part]
		if call == nil {
			return fmt.Errorf("see %s: there is no such part", part)
		}
		if err := call(); err != nil {
			return fmt.Errorf("see %s: %w", part, err)
		}
	}
	return nil
}

func seeUser() error {
	ruid, euid, suid := unix.Getresuid()
	rgid, egid, sgid := unix.Getresgid()
	groups, err := unix.Getgroups()
	slices.Sort(groups)
	fmt.Println("uid", ruid, euid, suid)
	fmt.Println("gid", rgid, egid, sgid)
	fmt.Println("groups", groups)
	mask := unix.Umask(0)
	unix.Umask(mask)
	fmt.Printf("umask %04o\n", mask)
	return err
}

func seeCapabilities() error {
	return statusLines("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
}

func seeSecurity() error {
	for _, flag := range []struct {
		name   string
		option int
	}{
		{"securebits", unix.PR_GET_SECUREBITS}, {"dumpable", unix.PR_GET_DUMPABLE}, {"keepcaps", unix.PR_GET_KEEPCAPS},
		{"no transparent huge pages", unix.PR_GET_THP_DISABLE}, {"timer slack", unix.PR_GET_TIMERSLACK},
	} {
		value, err := unix.PrctlRetInt(flag.option, 0, 0, 0, 0)
		if err != nil {
			return fmt.Errorf("read %s: %w", flag.name, err)
		}
		fmt.Println(flag.name, value)
	}
	return statusLines("NoNewPrivs", "Seccomp", "Seccomp_filters")
}

// statusLines prints lines of /proc/self/status, in the given order.
func statusLines(names ...string) error {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for _, name := range names {
		found := false
		for line := range strings.Lines(string(text)) {
			if rest, is := strings.CutPrefix(line, name+":"); is {
				fmt.Println(name, strings.Join(strings.Fields(rest), " "))
				found = true
			}
		}
		if !found {
			return errors.New("/proc/self/status has no line " + name)
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/opencontainers/runtime-spec/specs-go"
)

// row is one container that both runtimes run.
type row struct {
	// about is what of a process the row looks at; see [subjects].
	about string
	// name is short and unique; docs/conformance.md lists rows by it.
	name string
	// lone is for a container without a pod, with a VM of its own.
	lone bool
	// change makes the row's spec of the base; nil leaves it as it is.
	change func(*specs.Spec)
	// script is run by sh, when there is one, as the container's process.
	script string
	// stdin is what the container's process reads; without it, there is no standard input.
	stdin string
	// refuses is for a row whose container no runtime starts.
	refuses bool
	// do drives the container; nil starts it and waits for its end.
	do func(*session)
}

// subjects are what the rows have to be about, each in at least one: the list of the differential test's purpose.
func subjects() []string {
	return []string{
		"exit", "streams", "user", "capabilities", "rlimits", "noNewPrivs", "seccomp", "hidden paths", "proc", "dev",
		"sys", "mounts", "hostname", "resolv.conf", "hosts", "sysctls", "cgroup", "environment", "cwd", "tty", "signals",
		"oom", "exec", "oom_score_adj", "umask", "devices", "tmpfs", "root", "user namespaces",
	}
}

// rows are all rows of the test.
func rows() []row {
	var all []row
	for _, part := range [][]row{
		processRows(), securityRows(), fileRows(), deviceRows(), mountRows(), rootRows(), podRows(), limitRows(),
		streamRows(), terminalRows(), signalRows(), execRows(), loneRows(),
	} {
		all = append(all, part...)
	}
	return all
}

// with applies several changes of a spec in turn.
func with(changes ...func(*specs.Spec)) func(*specs.Spec) {
	return func(s *specs.Spec) {
		for _, change := range changes {
			change(s)
		}
	}
}

// args makes the words the container's process.
func args(words ...string) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Process.Args = words }
}

// asUser runs the container's process as the user, in a group of the same number.
func asUser(id uint32) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Process.User = specs.User{UID: id, GID: id} }
}

// mounted adds a mount.
func mounted(kind, source, destination string, options ...string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Type: kind, Source: source, Destination: destination, Options: options})
	}
}

func pointer[T any](value T) *T { return &value }

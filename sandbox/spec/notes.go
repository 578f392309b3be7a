// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Notes returns a sentence for each setting of in that ToGuest drops rather than
// honours or refuses, for the log. It expects a spec that ToGuest accepts.
func Notes(in *specs.Spec, e Env) []string {
	var notes []string
	note := func(set bool, format string, args ...any) {
		if set {
			notes = append(notes, fmt.Sprintf(format, args...))
		}
	}
	p, l := in.Process, in.Linux
	note(p.SelinuxLabel != "", "process.selinuxLabel %q is dropped: disable_guest_selinux is set", p.SelinuxLabel)
	note(l.MountLabel != "", "linux.mountLabel %q is dropped: disable_guest_selinux is set", l.MountLabel)
	note(p.ApparmorProfile != "" && p.ApparmorProfile != "unconfined",
		"process.apparmorProfile %q is dropped: it guards the host's kernel, which the container does not meet", p.ApparmorProfile)
	note(l.Seccomp != nil && e.DisableSeccomp, "linux.seccomp is dropped: disable_guest_seccomp is set")
	for _, d := range l.Devices {
		note(!isGuestNode(d) && !isPlanned(d.Path, e), "linux.devices: %s of the host is dropped: a privileged container gets the guest's devices", d.Path)
	}
	if l.Resources != nil && l.Resources.CPU != nil {
		c := l.Resources.CPU
		note(c.Cpus != "" && !fits(c.Cpus, e.VCPUs), "linux.resources.cpu.cpus %q is dropped: the guest has %d CPUs; the host's cgroup applies it to the VM", c.Cpus, e.VCPUs)
		note(c.Mems != "" && !fits(c.Mems, guestNodesOfMemory), "linux.resources.cpu.mems %q is dropped: the guest has one node; the host's cgroup applies it to the VM", c.Mems)
	}
	return notes
}

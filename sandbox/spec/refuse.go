// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// refusal is a field that cannot be honoured and whether the spec sets it.
type refusal struct {
	field string
	set   bool
	// why says why, and what to do.
	why string
}

// first returns the first refusal that applies, as an error.
func first(refusals []refusal) error {
	for _, r := range refusals {
		if r.set {
			return fmt.Errorf("%s cannot be honoured: %s: %w", r.field, r.why, errdefs.ErrNotImplemented)
		}
	}
	return nil
}

// refuse looks at sections of other systems and at Linux features that need the
// host's kernel.
func refuse(in, _ *specs.Spec, e Env) error {
	const otherSystem = "it is for another operating system; remove the section"
	if err := first([]refusal{
		{"solaris", in.Solaris != nil, otherSystem},
		{"windows", in.Windows != nil, otherSystem},
		{"zos", in.ZOS != nil, otherSystem},
		{"freebsd", in.FreeBSD != nil, otherSystem},
		{"vm", in.VM != nil, "the VM is described by this runtime's configuration and annotations; remove the section"},
	}); err != nil {
		return err
	}
	if err := refuseLabel("linux.mountLabel", in.Linux.MountLabel, e.DisableSELinux); err != nil {
		return err
	}
	return refuseLinux(in.Linux)
}

func refuseLinux(l *specs.Linux) error {
	return first([]refusal{
		{"linux.netDevices", len(l.NetDevices) > 0, "devices of the host's network cannot be moved into a container of a VM; use CNI"},
		{"linux.intelRdt", l.IntelRdt != nil, "cache and bandwidth allocation belong to the host; remove it"},
		{"linux.memoryPolicy", l.MemoryPolicy != nil, "the guest has one node of memory, and nothing to choose; remove it"},
		{"linux.timeOffsets", len(l.TimeOffsets) > 0, noTime},
		{"linux.personality.flags", l.Personality != nil && len(l.Personality.Flags) > 0, "the specification defines none; remove them"},
	})
}

// refuseLabel refuses an SELinux label unless the configuration drops labels.
func refuseLabel(field, label string, drop bool) error {
	return first([]refusal{{field, label != "" && !drop, "the guest has no SELinux; set disable_guest_selinux = true " +
		"to drop labels, or enable_selinux = false in containerd"}})
}

// engineProfiles are the AppArmor profiles that containerd's CRI plugin, ctr,
// Docker and CRI-O give to every container on a host with AppArmor.
var engineProfiles = [...]string{"cri-containerd.apparmor.d", "containerd-default", "docker-default", "crio-default"}

// isChosenProfile tells a profile that somebody chose from "none" and from an
// engine's default.
func isChosenProfile(profile string) bool {
	return profile != "" && profile != "unconfined" && !slices.Contains(engineProfiles[:], profile)
}

func refuseProcess(p *specs.Process) error {
	return first([]refusal{
		{"process.apparmorProfile", isChosenProfile(p.ApparmorProfile), "the guest has no AppArmor; use the profile unconfined"},
		{"process.commandLine", p.CommandLine != "", "it is for Windows; use process.args"},
	})
}

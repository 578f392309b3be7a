// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"fmt"
	"path"
	"slices"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// runtimeVersion is the version written to bundles. crun before 1.9 refuses any
// other, and reads fields of later ones all the same.
const runtimeVersion = "1.0.2"

// Guest is what the guest has for one container.
type Guest struct {
	// IPC, UTS and PID are paths of namespaces to join. An empty path means a
	// namespace of the container's own.
	IPC, UTS, PID string
	// User is the user namespace that these belong to, for a container that
	// has one; empty is one of the container's own.
	User string
	// Net is the network namespace to join; empty is the guest's own.
	Net string
	// Hostname is that of the pod; a container in its UTS namespace sets none.
	Hostname string
	// CgroupsPath is the container's cgroup below the mount of cgroup2.
	CgroupsPath string
	// AppArmor and SELinux say whether the guest's kernel has them.
	AppArmor, SELinux bool
	// Hooks are the guest's own hooks, run after those of the specification.
	Hooks specs.Hooks
}

// Apply fits a specification to the guest and returns the kernel parameters
// that it took out. The caller sets them: the namespaces they belong to are the
// guest's or the pod's, and an OCI runtime refuses to set them in a namespace
// that it did not make.
func (g Guest) Apply(spec *specs.Spec) (sysctls map[string]string, err error) {
	if !path.IsAbs(spec.Root.Path) {
		return nil, fmt.Errorf("the root path %q is not an absolute path of the guest: %w", spec.Root.Path, errdefs.ErrInvalidArgument)
	}
	if err := g.CheckProcess(spec.Process); err != nil {
		return nil, err
	}
	if spec.Linux.MountLabel != "" && !g.SELinux {
		return nil, noLabel("mount label", spec.Linux.MountLabel)
	}
	spec.Version = runtimeVersion
	spec.Linux.CgroupsPath = g.CgroupsPath
	if spec.Linux.Personality == nil {
		// An ordinary one, not crun's own, which crun would pass on.
		spec.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux}
	}
	spec.Linux.Namespaces = g.namespaces(spec.Linux.Namespaces)
	if g.UTS != "" && g.Hostname != "" {
		spec.Hostname = ""
	}
	sysctls, spec.Linux.Sysctl = spec.Linux.Sysctl, nil
	g.addHooks(spec)
	return sysctls, suitCrun(spec)
}

// CheckProcess refuses what the guest's kernel cannot enforce.
func (g Guest) CheckProcess(p *specs.Process) error {
	if p.ApparmorProfile != "" && p.ApparmorProfile != "unconfined" && !g.AppArmor {
		return fmt.Errorf("the guest's kernel has no AppArmor for the profile %q; leave the profile out or use a kernel with AppArmor: %w",
			p.ApparmorProfile, errdefs.ErrNotImplemented)
	}
	if p.ApparmorProfile == "unconfined" && !g.AppArmor {
		p.ApparmorProfile = ""
	}
	if p.SelinuxLabel != "" && !g.SELinux {
		return noLabel("process label", p.SelinuxLabel)
	}
	return nil
}

func noLabel(what, label string) error {
	return fmt.Errorf("the guest's kernel has no SELinux for the %s %q; leave the label out or use a kernel with SELinux: %w",
		what, label, errdefs.ErrNotImplemented)
}

// namespaces returns those of the specification without the network (the
// guest's own is the pod's), with the pod's in their places, and with the ones
// that separate a container from the agent.
func (g Guest) namespaces(in []specs.LinuxNamespace) []specs.LinuxNamespace {
	paths := map[specs.LinuxNamespaceType]string{
		specs.PIDNamespace:    g.PID,
		specs.IPCNamespace:    g.IPC,
		specs.UTSNamespace:    g.UTS,
		specs.MountNamespace:  "",
		specs.CgroupNamespace: "",
	}
	var out []specs.LinuxNamespace
	for _, ns := range in {
		if ns.Type == specs.UserNamespace {
			ns.Path = g.User
		}
		if _, ours := paths[ns.Type]; !ours && ns.Type != specs.NetworkNamespace {
			out = append(out, ns)
		}
	}
	if g.Net != "" {
		out = append(out, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: g.Net})
	}
	for _, t := range []specs.LinuxNamespaceType{
		specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.MountNamespace, specs.CgroupNamespace,
	} {
		out = append(out, specs.LinuxNamespace{Type: t, Path: paths[t]})
	}
	return out
}

func (g Guest) addHooks(spec *specs.Spec) {
	//lint:ignore SA1019 the contract's hook directory is named so
	if len(g.Hooks.Prestart)+len(g.Hooks.Poststart)+len(g.Hooks.Poststop) == 0 {
		return
	}
	if spec.Hooks == nil {
		spec.Hooks = &specs.Hooks{}
	}
	//lint:ignore SA1019 the contract's hook directory is named so
	spec.Hooks.Prestart = slices.Concat(spec.Hooks.Prestart, g.Hooks.Prestart)
	spec.Hooks.Poststart = slices.Concat(spec.Hooks.Poststart, g.Hooks.Poststart)
	spec.Hooks.Poststop = slices.Concat(spec.Hooks.Poststop, g.Hooks.Poststop)
}

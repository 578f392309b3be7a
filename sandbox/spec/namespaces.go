// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// ownNamespaces are those that a spec must list. One that is absent means the
// host's, which is another kernel.
var ownNamespaces = [...]struct {
	kind   specs.LinuxNamespaceType
	remedy string
}{
	{specs.NetworkNamespace, "use a pod network (hostNetwork: false)"},
	{specs.PIDNamespace, "use the pod's or the container's (hostPID: false)"},
	{specs.IPCNamespace, "use the pod's (hostIPC: false)"},
	{specs.UTSNamespace, "use the pod's"},
	{specs.MountNamespace, "add one"},
}

// namespaces keeps the types and drops the paths, which are the host's: the
// agent puts the sandbox's own in for those that a pod shares (ipc, uts, and pid
// with SharedPIDNS). The network namespace is left out, since the guest's own is
// the pod's.
func namespaces(in, out *specs.Spec, e Env) error {
	for _, own := range ownNamespaces {
		if !slices.ContainsFunc(in.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == own.kind }) {
			return fmt.Errorf("linux.namespaces lists no %s namespace, which means the host's, and a VM cannot run in it; %s: %w",
				own.kind, own.remedy, errdefs.ErrNotImplemented)
		}
	}
	if err := CheckUserNamespace(in.Linux); err != nil {
		return err
	}
	for i, ns := range in.Linux.Namespaces {
		if err := wellFormed(in.Linux.Namespaces[:i], ns); err != nil {
			return err
		}
		if err := joinable(ns, e); err != nil {
			return err
		}
		if ns.Type != specs.NetworkNamespace {
			out.Linux.Namespaces = append(out.Linux.Namespaces, specs.LinuxNamespace{Type: ns.Type})
		}
	}
	return nil
}

// wellFormed refuses kinds that the specification does not know or that were
// named before.
func wellFormed(before []specs.LinuxNamespace, ns specs.LinuxNamespace) error {
	known := []specs.LinuxNamespaceType{
		specs.PIDNamespace, specs.NetworkNamespace, specs.MountNamespace, specs.IPCNamespace,
		specs.UTSNamespace, specs.UserNamespace, specs.CgroupNamespace, specs.TimeNamespace,
	}
	if !slices.Contains(known, ns.Type) {
		return fmt.Errorf("linux.namespaces: %q is no kind of namespace: %w", ns.Type, errdefs.ErrInvalidArgument)
	}
	if slices.ContainsFunc(before, func(b specs.LinuxNamespace) bool { return b.Type == ns.Type }) {
		return fmt.Errorf("linux.namespaces: the %s namespace is there twice: %w", ns.Type, errdefs.ErrInvalidArgument)
	}
	return nil
}

// noTime: crun 1.8 ends the first process of a PID namespace when it makes, or
// joins, a time namespace.
const noTime = "the OCI runtime in the guest cannot start a container in a time namespace; remove it"

// joinable refuses namespaces that the guest cannot make or join.
func joinable(ns specs.LinuxNamespace, e Env) error {
	return first([]refusal{
		{"linux.namespaces: a time namespace", ns.Type == specs.TimeNamespace, noTime},
		{"linux.namespaces: the pid namespace " + ns.Path, ns.Type == specs.PIDNamespace && ns.Path != "" && !e.SharedPIDNS,
			"it is another container's, and this pod's containers share none; use shareProcessNamespace: true"},
	})
}

// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
)

// namespaces keeps the types and drops the paths, which are the host's: the
// agent puts the sandbox's own in for those that a pod shares (ipc, uts, and pid
// with SharedPIDNS). The network namespace is not listed, since the guest's own
// is the pod's.
func namespaces(in *specs.Spec, out *agentpb.Spec, _ Env) error {
	network := false
	for _, ns := range in.Linux.Namespaces {
		switch ns.Type {
		case specs.NetworkNamespace:
			network = true
		case specs.TimeNamespace:
			return fmt.Errorf("linux.namespaces: a time namespace cannot be honoured: %s: %w", noWire, errdefs.ErrNotImplemented)
		default:
			out.Linux.Namespaces = append(out.Linux.Namespaces, &agentpb.LinuxNamespace{Type: string(ns.Type)})
		}
	}
	if !network {
		return fmt.Errorf("linux.namespaces has no network namespace, which means the host's: a VM cannot run in it; "+
			"use a pod network (hostNetwork: false): %w", errdefs.ErrNotImplemented)
	}
	return nil
}

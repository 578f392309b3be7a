// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/shim/podkind"
)

// What of the host's a VM cannot share. These refuse a whole pod, before its VM
// boots, in every engine with the same words. Each is errdefs.ErrNotImplemented.
var (
	// ErrHostNetwork refuses the host's network.
	ErrHostNetwork = fmt.Errorf("the host's network was asked for, which a VM cannot share; "+
		"publish the ports instead (hostPort, docker run -p), or run this pod with another runtime: %w", errdefs.ErrNotImplemented)
	// ErrHostIPC refuses the host's IPC. The spec of a pod's containers does not
	// tell: they join the namespace of the container that stands for the pod.
	ErrHostIPC = fmt.Errorf("the host's IPC was asked for, which is another kernel's; "+
		"use the pod's (hostIPC: false, docker run without --ipc=host), or run this pod with another runtime: %w", errdefs.ErrNotImplemented)
	// ErrHostPID refuses the host's processes for a lone container. For a pod of
	// CRI, hostPID means the pod's processes here.
	ErrHostPID = fmt.Errorf("the host's processes were asked for, which another kernel runs; "+
		"use the container's own (docker run without --pid=host), or run it with another runtime: %w", errdefs.ErrNotImplemented)
	// ErrHostUTS refuses the host's name for a lone container.
	ErrHostUTS = fmt.Errorf("the host's UTS namespace was asked for, which is another kernel's; "+
		"give the container a name instead (docker run --hostname), or run it with another runtime: %w", errdefs.ErrNotImplemented)
	// ErrOtherContainer refuses a lone container that is to join another one.
	ErrOtherContainer = fmt.Errorf("another container's processes, IPC or name were asked for, which another VM has; "+
		"run both in one pod of Kubernetes or CRI, or without --pid, --ipc and --uts: %w", errdefs.ErrNotImplemented)
)

// refuseHost refuses a spec whose missing namespaces mean the host's.
func (o Origin) refuseHost() error {
	for _, own := range []struct {
		kind specs.LinuxNamespaceType
		pods bool // refused for a pod of CRI too
		err  error
	}{
		{specs.IPCNamespace, true, ErrHostIPC},
		{specs.PIDNamespace, false, ErrHostPID},
		{specs.UTSNamespace, false, ErrHostUTS},
	} {
		if (own.pods || o.Kind == podkind.Lone) && !hasNamespace(o.Spec, own.kind) {
			return own.err
		}
		if o.Kind == podkind.Lone && joins(o.Spec, own.kind) {
			return ErrOtherContainer
		}
	}
	return nil
}

// joins tells whether a spec names a namespace that exists already.
func joins(s *specs.Spec, kind specs.LinuxNamespaceType) bool {
	return s.Linux != nil && slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind && n.Path != "" })
}

func hasNamespace(s *specs.Spec, kind specs.LinuxNamespaceType) bool {
	return s.Linux != nil && slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
}

// networkNamespace is the path of the pod's namespace, "" for a private one. A
// spec without a network namespace asks for the host's, which a VM cannot have.
func networkNamespace(s *specs.Spec, c config.Config) (string, error) {
	if s.Linux != nil {
		for _, n := range s.Linux.Namespaces {
			if n.Type == specs.NetworkNamespace {
				return n.Path, nil
			}
		}
	}
	if c.Runtime.DisableNewNetNS {
		return "", nil
	}
	return "", ErrHostNetwork
}

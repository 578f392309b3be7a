// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"errors"
	"slices"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/shim/podkind"
)

// own are the namespaces that every engine gives a container which asks for nothing of the host's.
func own() []specs.LinuxNamespace {
	return []specs.LinuxNamespace{
		{Type: specs.NetworkNamespace}, {Type: specs.PIDNamespace}, {Type: specs.IPCNamespace},
		{Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
	}
}

// A namespace that a spec does not list is the host's. The wish is refused before there is a VM, whatever else in the
// spec comes with it: a mount of the host's /dev/mqueue, for one.
func TestHostNamespaces(t *testing.T) {
	for kind, want := range map[specs.LinuxNamespaceType]map[podkind.Kind]error{
		specs.NetworkNamespace: {podkind.Lone: ErrHostNetwork, podkind.Sandbox: ErrHostNetwork},
		specs.IPCNamespace:     {podkind.Lone: ErrHostIPC, podkind.Sandbox: ErrHostIPC},
		specs.PIDNamespace:     {podkind.Lone: ErrHostPID, podkind.Sandbox: nil},
		specs.UTSNamespace:     {podkind.Lone: ErrHostUTS, podkind.Sandbox: nil},
	} {
		rest := slices.DeleteFunc(own(), func(n specs.LinuxNamespace) bool { return n.Type == kind })
		for origin, err := range want {
			_, got := Origin{ID: "c", Kind: origin, Spec: spec(rest...)}.Options(config.Default())
			if !errors.Is(got, err) || err != nil && !errors.Is(got, errdefs.ErrNotImplemented) {
				t.Errorf("without a %s namespace, kind %v: error %v, want %v", kind, origin, got, err)
			}
		}
	}
}

// The namespaces of another lone container are in another VM. Those of a pod of CRI are the pod's own.
func TestNamespacesOfOthers(t *testing.T) {
	for _, kind := range []specs.LinuxNamespaceType{specs.IPCNamespace, specs.PIDNamespace, specs.UTSNamespace} {
		for origin, want := range map[podkind.Kind]error{podkind.Lone: ErrOtherContainer, podkind.Sandbox: nil} {
			all := own()
			for i := range all {
				if all[i].Type == kind {
					all[i].Path = "/proc/1/ns/" + string(kind)
				}
			}
			_, got := Origin{ID: "c", Kind: origin, Spec: spec(all...)}.Options(config.Default())
			if !errors.Is(got, want) || want != nil && !errors.Is(got, errdefs.ErrNotImplemented) {
				t.Errorf("with another's %s namespace, kind %v: error %v, want %v", kind, origin, got, want)
			}
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"slices"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
)

// joinsPID gives the options' spec a PID namespace to join.
func joinsPID(o ContainerOptions) ContainerOptions {
	for i, ns := range o.Spec.Linux.Namespaces {
		if ns.Type == specs.PIDNamespace {
			o.Spec.Linux.Namespaces = slices.Clone(o.Spec.Linux.Namespaces)
			o.Spec.Linux.Namespaces[i].Path = "/proc/4242/ns/pid"
		}
	}
	return o
}

func TestContainersThatJoinThePodsPIDNamespace(t *testing.T) {
	f := startedFixture(t)
	for _, id := range []string{"one", "two"} {
		if _, err := f.pod.CreateContainer(background, joinsPID(containerOptions(id, "sleep"))); err != nil {
			t.Fatal(err)
		}
		if req := lastCall[*agentpb.CreateContainerRequest](f.agent, "CreateContainer"); !req.SandboxPidns {
			t.Errorf("container %s does not join the pod's namespace", id)
		}
	}
}

// Then the namespace to join may be that container's.
func TestJoiningAContainersPIDNamespaceIsRefused(t *testing.T) {
	f := startedFixture(t)
	f.container("own", "sleep")
	if req := lastCall[*agentpb.CreateContainerRequest](f.agent, "CreateContainer"); req.SandboxPidns {
		t.Error("a container without a namespace to join joins the pod's")
	}
	_, err := f.pod.CreateContainer(background, joinsPID(containerOptions("debug", "sleep")))
	wantIs(t, "a container that joins another's", err, errdefs.ErrNotImplemented)
}

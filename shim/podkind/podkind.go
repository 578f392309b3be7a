// SPDX-License-Identifier: Apache-2.0

package podkind

import (
	"fmt"

	"github.com/containerd/errdefs"
)

// Kind is what a container is to its pod.
type Kind string

const (
	// Lone is a container without a pod: the VM is its own.
	Lone Kind = "lone"
	// Sandbox is the container that stands for the pod.
	Sandbox Kind = "sandbox"
	// Member is a container in a pod that exists already.
	Member Kind = "member"
)

// The annotations of containerd's CRI plugin and of CRI-O, in the order they
// are asked.
var engines = [...]struct{ kind, pod string }{
	{"io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"},
	{"io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID"},
}

// Of reads the annotations of container id and returns its kind and the id of
// its pod, which is id itself for Lone and Sandbox. A type that no engine uses,
// or a member that does not name its pod, is errdefs.ErrInvalidArgument.
func Of(id string, annotations map[string]string) (Kind, string, error) {
	for _, e := range engines {
		switch kind, pod := annotations[e.kind], annotations[e.pod]; kind {
		case "":
			continue
		case "sandbox":
			return Sandbox, id, nil
		case "container":
			if pod == "" {
				return "", "", fmt.Errorf("container %s has the annotation %s=container but no %s, so its pod is unknown: %w",
					id, e.kind, e.pod, errdefs.ErrInvalidArgument)
			}
			return Member, pod, nil
		default:
			return "", "", fmt.Errorf("container %s has the annotation %s=%q; known are \"sandbox\" and \"container\": %w",
				id, e.kind, kind, errdefs.ErrInvalidArgument)
		}
	}
	return Lone, id, nil
}

// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// hooks sends those that the specification runs inside the container
// (startContainer: their paths are the container's) and leaves out those that it
// runs in the runtime's namespace, which are the host's; see [HostHooks]. What
// runs between the two, in the container's namespaces with paths of the host,
// has no place: these paths do not exist in the guest.
func hooks(in, out *specs.Spec, _ Env) error {
	if in.Hooks == nil {
		return nil
	}
	if err := first([]refusal{{"hooks.createContainer", len(in.Hooks.CreateContainer) > 0,
		"such a hook is a program of the host run in the container's namespaces, which are in the guest; use createRuntime or startContainer"}}); err != nil {
		return err
	}
	if len(in.Hooks.StartContainer) == 0 {
		return nil
	}
	out.Hooks = &specs.Hooks{StartContainer: in.Hooks.StartContainer}
	return nil
}

// HostHooks are the hooks that the runtime runs on the host, in its own
// namespaces, and when: Create after the pod's namespaces exist and before the
// container does, Start after its process began, Stop after it was deleted.
type HostHooks struct {
	Create, Start, Stop []specs.Hook
}

// ForHost returns the hooks of s that are the host's to run.
func ForHost(s *specs.Spec) HostHooks {
	if s.Hooks == nil {
		return HostHooks{}
	}
	return HostHooks{
		//lint:ignore SA1019 engines still write prestart, which the specification keeps for them
		Create: slices.Concat(s.Hooks.Prestart, s.Hooks.CreateRuntime),
		Start:  slices.Clone(s.Hooks.Poststart),
		Stop:   slices.Clone(s.Hooks.Poststop),
	}
}

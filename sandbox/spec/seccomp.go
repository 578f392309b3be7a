// SPDX-License-Identifier: Apache-2.0

package spec

import "github.com/opencontainers/runtime-spec/specs-go"

// seccomp sends the profile, which crun applies in the guest.
func seccomp(in, out *specs.Spec, e Env) error {
	profile := in.Linux.Seccomp
	if profile == nil || e.DisableSeccomp {
		return nil
	}
	out.Linux.Seccomp = profile
	return first([]refusal{
		{"linux.seccomp.listenerPath", profile.ListenerPath != "", "the listener is a socket of the host; remove it"},
		{"linux.seccomp.listenerMetadata", profile.ListenerMetadata != "", "it is for a listener, which is a socket of the host; remove it"},
	})
}

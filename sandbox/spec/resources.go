// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
)

func resources(in *specs.Spec, out *agentpb.Spec, e Env) (err error) {
	out.Linux.Resources, err = ToGuestResources(in.Linux.Resources, e)
	return err
}

// ToGuestResources returns the guest's form of a container's limits, at creation
// and for an update.
func ToGuestResources(in *specs.LinuxResources, e Env) (*agentpb.LinuxResources, error) {
	return &agentpb.LinuxResources{}, nil
}

// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
)

func process(in *specs.Spec, out *agentpb.Spec, e Env) (err error) {
	if err := refuseLabel("process.selinuxLabel", in.Process.SelinuxLabel, e.DisableSELinux); err != nil {
		return err
	}
	out.Process, err = ProcessToGuest(in.Process)
	return err
}

// ProcessToGuest returns the guest's form of a process: the container's own or
// one that exec adds. Every field that the wire has is kept, so that an exec is
// limited as its caller asked. An SELinux label is not looked at: that of an exec
// is the container's, which ToGuest judged.
func ProcessToGuest(in *specs.Process) (*agentpb.Process, error) {
	if in == nil {
		return nil, fmt.Errorf("no process is given: %w", errdefs.ErrInvalidArgument)
	}
	if err := refuseProcess(in); err != nil {
		return nil, err
	}
	out := &agentpb.Process{
		Terminal: in.Terminal,
		User: &agentpb.User{
			UID: in.User.UID, GID: in.User.GID,
			AdditionalGids: slices.Clone(in.User.AdditionalGids), Username: in.User.Username,
		},
		Args:            slices.Clone(in.Args),
		Env:             slices.Clone(in.Env),
		Cwd:             in.Cwd,
		Capabilities:    capabilities(in.Capabilities),
		NoNewPrivileges: in.NoNewPrivileges,
	}
	if in.ConsoleSize != nil {
		out.ConsoleSize = &agentpb.Box{Height: uint32(in.ConsoleSize.Height), Width: uint32(in.ConsoleSize.Width)}
	}
	if in.OOMScoreAdj != nil {
		out.OOMScoreAdj = int64(*in.OOMScoreAdj)
	}
	for _, r := range in.Rlimits {
		out.Rlimits = append(out.Rlimits, &agentpb.POSIXRlimit{Type: r.Type, Hard: r.Hard, Soft: r.Soft})
	}
	return out, nil
}

func capabilities(in *specs.LinuxCapabilities) *agentpb.LinuxCapabilities {
	if in == nil {
		return nil
	}
	return &agentpb.LinuxCapabilities{
		Bounding: slices.Clone(in.Bounding), Effective: slices.Clone(in.Effective),
		Inheritable: slices.Clone(in.Inheritable), Permitted: slices.Clone(in.Permitted),
		Ambient: slices.Clone(in.Ambient),
	}
}

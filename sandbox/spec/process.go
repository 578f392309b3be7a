// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func process(in, out *specs.Spec, e Env) (err error) {
	if err := refuseLabel("process.selinuxLabel", in.Process.SelinuxLabel, e.DisableSELinux); err != nil {
		return err
	}
	out.Process, err = ProcessToGuest(in.Process, e.VCPUs)
	return err
}

// ProcessToGuest returns the guest's form of a process: the container's own or
// one that exec adds. Whatever limits it is kept, so that an exec is limited as
// its caller asked. An SELinux label is not looked at: that of an exec is the
// container's, which ToGuest judged. vcpus is how many CPUs the guest has, see
// [Env]. The result is the caller's to change in its own fields, not below.
func ProcessToGuest(in *specs.Process, vcpus int) (*specs.Process, error) {
	if in == nil {
		return nil, fmt.Errorf("no process is given: %w", errdefs.ErrInvalidArgument)
	}
	if err := refuseProcess(in); err != nil {
		return nil, err
	}
	out := *in
	out.ApparmorProfile, out.SelinuxLabel = "", ""
	out.ExecCPUAffinity = affinity(in.ExecCPUAffinity, vcpus)
	return &out, nil
}

// affinity is kept when the guest has these CPUs, like a cpuset.
func affinity(in *specs.CPUAffinity, vcpus int) *specs.CPUAffinity {
	if in == nil {
		return nil
	}
	var out specs.CPUAffinity
	if fits(in.Initial, vcpus) {
		out.Initial = in.Initial
	}
	if fits(in.Final, vcpus) {
		out.Final = in.Final
	}
	if out == (specs.CPUAffinity{}) {
		return nil
	}
	return &out
}

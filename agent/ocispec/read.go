// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"fmt"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/ocijson"
)

// Container returns the specification of a container: what the JSON says, or
// without any what the protocol's own message says. A specification without
// process or root, or for another operating system, is an error.
func Container(wire *agentpb.Spec, json []byte) (*specs.Spec, error) {
	spec, err := read(wire, json, fromWire)
	if err != nil {
		return nil, err
	}
	switch {
	case spec.Solaris != nil || spec.Windows != nil || spec.VM != nil || spec.ZOS != nil || spec.FreeBSD != nil:
		return nil, fmt.Errorf("the OCI specification has a section for another system than Linux, which the guest runs: %w", errdefs.ErrInvalidArgument)
	case spec.Root == nil || spec.Root.Path == "":
		return nil, fmt.Errorf("the OCI specification has no root path: %w", errdefs.ErrInvalidArgument)
	}
	if spec.Linux == nil {
		spec.Linux = &specs.Linux{}
	}
	if err := check(spec.Process); err != nil {
		return nil, err
	}
	if spec.Process.OOMScoreAdj == nil {
		// It would have the agent's own, which protects the agent.
		spec.Process.OOMScoreAdj = new(int)
	}
	return spec, nil
}

// Process is [Container] for a process that is added. One without arguments is
// an error. Without an oom_score_adj it has its container's.
func Process(wire *agentpb.Process, json []byte) (*specs.Process, error) {
	p, err := read(wire, json, func(in *agentpb.Process) (*specs.Process, error) { return process(in), nil })
	if err != nil {
		return nil, err
	}
	return p, check(p)
}

// Resources is [Container] for the limits of a container; none stay nil.
func Resources(wire *agentpb.LinuxResources, json []byte) (*specs.LinuxResources, error) {
	r, err := read(wire, json, func(in *agentpb.LinuxResources) (*specs.LinuxResources, error) { return resources(in), nil })
	if err != nil {
		return nil, err
	}
	moveBurst(r)
	return r, nil
}

func read[Wire, Part any](wire Wire, json []byte, convert func(Wire) (*Part, error)) (*Part, error) {
	if len(json) == 0 {
		return convert(wire)
	}
	return ocijson.Decode[Part](json)
}

func check(p *specs.Process) error {
	if p == nil {
		return fmt.Errorf("the OCI specification has no process: %w", errdefs.ErrInvalidArgument)
	}
	if len(p.Args) == 0 {
		return fmt.Errorf("the process has no arguments: %w", errdefs.ErrInvalidArgument)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/ocijson"
	"github.com/katapod/katapod/sandbox/spec"
)

// hasOCIJSON tells whether the agent takes the OCI specification as it is. One
// that does not gets the protocol's own messages, and what they lack is refused.
func (a *agentClient) hasOCIJSON() bool { return slices.Contains(a.features, ocijson.Feature) }

func (a *agentClient) setSpec(req *agentpb.CreateContainerRequest, guest *specs.Spec) (err error) {
	if a.hasOCIJSON() {
		req.OciJson, err = ocijson.Encode(guest)
		return err
	}
	req.OCI, err = spec.ToWire(guest)
	return err
}

func (a *agentClient) setProcess(req *agentpb.ExecProcessRequest, guest *specs.Process) (err error) {
	if a.hasOCIJSON() {
		req.ProcessJson, err = ocijson.Encode(guest)
		return err
	}
	req.Process, err = spec.ProcessToWire(guest)
	return err
}

func (a *agentClient) setResources(req *agentpb.UpdateContainerRequest, guest *specs.LinuxResources) (err error) {
	if a.hasOCIJSON() {
		req.ResourcesJson, err = ocijson.Encode(guest)
		return err
	}
	req.Resources, err = spec.ResourcesToWire(guest)
	return err
}

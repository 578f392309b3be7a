// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/ocijson"
)

// TestSpecGoesWhole sends what the protocol's messages lack, to an agent that
// takes JSON and to one that does not.
func TestSpecGoesWhole(t *testing.T) {
	umask, burst := uint32(0o27), uint64(5000)
	f := newFixture(t)
	f.agent.features = append(f.agent.features, ocijson.Feature)
	if err := f.pod.Start(background); err != nil {
		t.Fatal(err)
	}
	o := containerOptions("c1", "sleep")
	o.Spec.Process.User.Umask, o.Spec.Domainname = &umask, "example"
	c, err := f.pod.CreateContainer(background, o)
	if err != nil {
		t.Fatal(err)
	}
	req := lastCall[*agentpb.CreateContainerRequest](f.agent, "CreateContainer")
	spec, err := ocijson.Decode[specs.Spec](req.OciJson)
	if err != nil || req.OCI != nil || *spec.Process.User.Umask != umask || spec.Domainname != "example" {
		t.Errorf("CreateContainer got %v, error %v", req, err)
	}
	if err := c.Update(background, &specs.LinuxResources{CPU: &specs.LinuxCPU{Burst: &burst}}); err != nil {
		t.Fatal(err)
	}
	update := lastCall[*agentpb.UpdateContainerRequest](f.agent, "UpdateContainer")
	limits, err := ocijson.Decode[specs.LinuxResources](update.ResourcesJson)
	if err != nil || update.Resources != nil || *limits.CPU.Burst != burst {
		t.Errorf("UpdateContainer got %v, error %v", update, err)
	}
}

func TestSpecForAnotherAgent(t *testing.T) {
	umask, burst := uint32(0o27), uint64(5000)
	f := startedFixture(t)
	o := containerOptions("c1", "sleep")
	o.Spec.Process.User.Umask = &umask
	_, err := f.pod.CreateContainer(background, o)
	wantIs(t, "a umask", err, errdefs.ErrNotImplemented)
	err = f.container("c2", "sleep").Update(background, &specs.LinuxResources{CPU: &specs.LinuxCPU{Burst: &burst}})
	wantIs(t, "a burst", err, errdefs.ErrNotImplemented)
}

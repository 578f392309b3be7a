// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/protocols/agentpb"
)

// Interfaces that appear after the VM was started are in the guest before the
// first process runs.
func TestLateNetwork(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.NetNS = "" })
	f.host.setState(network.State{})
	if err := f.pod.Start(background); err != nil {
		t.Fatal(err)
	}
	c := f.container("c1", "sleep")
	state := oneEndpoint()
	f.host.setState(state)
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	update := lastCall[*agentpb.UpdateInterfaceRequest](f.agent, "UpdateInterface").Interface
	if update.DevicePath == "" || update.HwAddr != "02:00:00:00:00:01" || len(update.IPAddresses) != 2 {
		t.Errorf("UpdateInterface got %v", update)
	}
	if f.agent.called("UpdateRoutes") > f.agent.called("StartContainer") || f.agent.called("UpdateRoutes") < 0 {
		t.Error("the process ran before the routes were there")
	}
	if len(f.vm.NICs()) != 1 || f.vm.NICs()[0].MTU != 1450 {
		t.Errorf("NICs %v", f.vm.NICs())
	}
	state.Endpoints = append(slices.Clone(state.Endpoints), network.Endpoint{Index: 3, Name: "eth1", Kind: "veth", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}})
	f.host.setState(state)
	f.running("c2", "sleep")
	if len(f.vm.NICs()) != 2 {
		t.Errorf("NICs %v", f.vm.NICs())
	}
	before := len(f.agent.history())
	f.running("c3", "sleep")
	if slices.Contains(f.agent.history()[before:], "UpdateInterface") {
		t.Error("a guest that knows all is told again")
	}
}

func TestLateNetworkThatCannotBe(t *testing.T) {
	f := newFixture(t)
	f.host.setState(network.State{})
	if err := f.pod.Start(background); err != nil {
		t.Fatal(err)
	}
	c := f.container("c1", "sleep")
	f.host.setState(oneEndpoint())
	f.host.fail["tap"] = errdefs.ErrNotImplemented
	wantIs(t, "start with an interface that cannot be joined", c.Start(background), errdefs.ErrNotImplemented)
	if c.Status() != StatusCreated || f.agent.called("StartContainer") >= 0 {
		t.Error("the process runs without its network")
	}
}

// The network of a container in another VM cannot be shared: both would have the
// same addresses.
func TestNetworkOfAnotherVM(t *testing.T) {
	f := newFixture(t)
	taken := oneEndpoint()
	taken.Taps = []string{"tap2_kata"}
	f.host.setState(taken)
	err := f.pod.Start(background)
	wantIs(t, "a pod in the network of another", err, errdefs.ErrNotImplemented)
	if err == nil || !strings.Contains(err.Error(), "docker network create") {
		t.Errorf("the error does not say what to do: %v", err)
	}
}

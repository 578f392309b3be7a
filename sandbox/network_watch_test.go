// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/protocols/agentpb"
)

// becomes waits for something that follows a change of the namespace.
func becomes(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for wait := time.Millisecond; !is(); wait = min(2*wait, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it did not become so", what)
		}
		<-time.After(wait)
	}
}

// change sets what the namespace holds, and says so.
func (f *fixture) change(state network.State) {
	f.host.setState(state)
	f.host.changed <- struct{}{}
}

// An interface that is connected to a pod that runs is plugged, and one that
// goes is unplugged; of both nothing is left on the host.
func TestNetworkOfARunningPod(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.NetNS = "" })
	f.host.setState(network.State{})
	if err := f.pod.Start(background); err != nil {
		t.Fatal(err)
	}
	c := f.container("c1", "sleep")
	// The engine is half done, which nobody may act on.
	f.change(network.State{Endpoints: []network.Endpoint{{Index: 2, Name: "veth7", Kind: "veth"}}})
	one := oneEndpoint()
	f.host.setState(one)
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	if got := f.agent.called("UpdateInterface"); got < 0 || len(f.vm.NICs()) != 1 {
		t.Fatalf("NICs %v", f.vm.NICs())
	}
	two := oneEndpoint()
	two.Endpoints = append(two.Endpoints, network.Endpoint{Index: 3, Name: "eth1", Kind: "veth", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}})
	two.Routes = append(two.Routes, network.Route{Device: "eth1"})
	f.change(two)
	becomes(t, "a second interface", func() bool { return len(f.vm.NICs()) == 2 })
	becomes(t, "a third route", func() bool {
		return len(lastCall[*agentpb.UpdateRoutesRequest](f.agent, "UpdateRoutes").Routes.Routes) == 3
	})
	f.change(one)
	becomes(t, "one interface", func() bool { return len(f.vm.NICs()) == 1 })
	becomes(t, "its TAP alone", func() bool { return taps(f) == 1 })
	becomes(t, "two routes", func() bool {
		return len(lastCall[*agentpb.UpdateRoutesRequest](f.agent, "UpdateRoutes").Routes.Routes) == 2
	})
	f.change(network.State{})
	becomes(t, "no interface", func() bool { return len(f.vm.NICs()) == 0 && taps(f) == 0 })
	becomes(t, "no route", func() bool {
		return len(lastCall[*agentpb.UpdateRoutesRequest](f.agent, "UpdateRoutes").Routes.Routes) == 0
	})
}

func taps(f *fixture) (count int) {
	for _, thing := range f.host.left() {
		if len(thing) > 4 && thing[:4] == "tap " {
			count++
		}
	}
	return count
}

// A NIC that came with the VM stays when its interface goes, without addresses.
func TestNetworkThatCannotBeUnplugged(t *testing.T) {
	f := startedFixture(t)
	f.running("c1", "sleep")
	nics := len(f.vm.NICs())
	f.change(network.State{})
	becomes(t, "no address", func() bool {
		return len(lastCall[*agentpb.UpdateInterfaceRequest](f.agent, "UpdateInterface").Interface.IPAddresses) == 0
	})
	f.change(network.State{})
	f.change(network.State{}) // the first of these was taken when this is
	if len(f.vm.NICs()) != nics {
		t.Errorf("NICs %v", f.vm.NICs())
	}
	calls := 0
	for _, call := range f.agent.history() {
		if call == "UpdateInterface" {
			calls++
		}
	}
	if calls != 2 {
		t.Errorf("the guest was told %d times: %q", calls, f.agent.history())
	}
	f.change(oneEndpoint())
	becomes(t, "its addresses again", func() bool {
		return len(lastCall[*agentpb.UpdateInterfaceRequest](f.agent, "UpdateInterface").Interface.IPAddresses) == 2
	})
}

// A pod whose network cannot follow says so and lives on.
func TestNetworkThatFailsWhileThePodRuns(t *testing.T) {
	f := startedFixture(t)
	c := f.running("c1", "sleep")
	f.host.mu.Lock()
	f.host.fail["tap"] = net.ErrClosed
	f.host.mu.Unlock()
	more := oneEndpoint()
	more.Endpoints = append(slices.Clone(more.Endpoints), network.Endpoint{Index: 3, Name: "eth1", Kind: "veth"})
	f.change(more)
	f.change(more)
	f.change(more)
	if c.Status() != StatusRunning {
		t.Errorf("the container is %s", c.Status())
	}
}

// A TAP that somebody deletes is made again while its interface is there, for a device that can be plugged again; the
// VMM lets go of the old one first.
func TestTapThatIsDeletedComesAgain(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.NetNS = "" })
	f.host.setState(network.State{})
	if err := f.pod.Start(background); err != nil {
		t.Fatal(err)
	}
	c := f.container("c1", "sleep")
	f.host.setState(oneEndpoint())
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	deleteTaps(t, f)
	told := countCalls(f, "UpdateInterface")
	f.change(oneEndpoint())
	becomes(t, "a new TAP", func() bool { return taps(f) == 1 && len(f.vm.NICs()) == 1 })
	becomes(t, "the guest's address", func() bool { return countCalls(f, "UpdateInterface") > told })
	if cut := f.vm.Cut(); len(cut) != 1 {
		t.Errorf("the VMM was told to let go of %q", cut)
	}
	if c.Status() != StatusRunning {
		t.Errorf("the container is %s", c.Status())
	}
}

// The TAP of a NIC that came with the VM cannot come again: the VMM lets go of it, once, and the pod goes on without.
func TestTapOfANICThatCannotGo(t *testing.T) {
	f := startedFixture(t)
	c := f.running("c1", "sleep")
	deleteTaps(t, f)
	for range 3 {
		f.change(oneEndpoint())
	}
	becomes(t, "no address", func() bool {
		return len(lastCall[*agentpb.UpdateInterfaceRequest](f.agent, "UpdateInterface").Interface.IPAddresses) == 0
	})
	if cut := f.vm.Cut(); len(cut) != 1 || c.Status() != StatusRunning {
		t.Errorf("the VMM was told to let go of %q, the container is %s", cut, c.Status())
	}
}

// deleteTaps takes the pod's TAP away behind its back.
func deleteTaps(t *testing.T, f *fixture) {
	t.Helper()
	deleted := 0
	for _, thing := range f.host.left() {
		if name, is := strings.CutPrefix(thing, "tap "); is {
			_ = f.host.remove("tap", name) // never fails
			deleted++
		}
	}
	if deleted != 1 {
		t.Fatalf("the pod has %d TAPs: %q", deleted, f.host.left())
	}
}

func countCalls(f *fixture, name string) (count int) {
	for _, call := range f.agent.history() {
		if call == name {
			count++
		}
	}
	return count
}

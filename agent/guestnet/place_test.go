// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/katapod/katapod/protocols/typespb"
)

// otherNamespace makes a network namespace and returns its path.
func otherNamespace(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("unshare", "--net", "sh", "-c", "echo; exec sleep 600")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid)
}

func TestNetworkMoves(t *testing.T) {
	n := newNetwork(t)
	n.tap(t, "tap0", "02:00:00:00:00:01")
	n.tap(t, "at0100", "02:00:00:00:00:02")
	eth0 := &typespb.Interface{Name: "eth0", HwAddr: "02:00:00:00:00:01", Mtu: 1400, IPAddresses: []*typespb.IPAddress{{Address: "10.1.0.2", Mask: "24"}}}
	for _, i := range []*typespb.Interface{eth0, {Name: "eth1", DevicePath: "01/00"}} {
		if err := n.UpdateInterface(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.UpdateRoutes([]*typespb.Route{{Gateway: "10.1.0.1", Device: "eth0"}}); err != nil {
		t.Fatal(err)
	}
	neighbor := &typespb.ARPNeighbor{Device: "eth0", Lladdr: "02:00:00:00:00:09", State: netlink.NUD_PERMANENT, ToIPAddress: &typespb.IPAddress{Address: "10.1.0.9"}}
	if err := n.AddNeighbors([]*typespb.ARPNeighbor{neighbor}); err != nil {
		t.Fatal(err)
	}
	n.asked.interfaces = n.asked.interfaces[:1] // eth1 was plugged and asked for, and comes later

	if err := n.Enter(t.Context(), otherNamespace(t)); err != nil {
		t.Fatal(err)
	}
	show := func(args ...string) (text string) {
		err := n.Run(func() error {
			out, err := exec.Command("ip", args...).CombinedOutput()
			text = string(out)
			return err
		})
		if err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, text)
		}
		return text
	}
	for words, wants := range map[string][]string{
		"addr show eth0": {"mtu 1400", "inet 10.1.0.2/24", "link/ether 02:00:00:00:00:01"},
		"addr show lo":   {"UP"}, "route": {"default via 10.1.0.1 dev eth0"}, "neigh": {"10.1.0.9 dev eth0 lladdr 02:00:00:00:00:09 PERMANENT"},
	} {
		text := show(strings.Fields(words)...)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("ip %s lacks %q: %s", words, want, text)
			}
		}
	}
	if here := ip(t, "link"); strings.Contains(here, "eth0") {
		t.Errorf("the link is left where it was: %s", here)
	}
	lateLinks(t, n)
}

// lateLinks are set up after the network has moved: found by a PCI path, by a
// MAC, and again.
func lateLinks(t *testing.T, n *Network) {
	t.Helper()
	ip(t, "link", "set", "eth1", "down")
	ip(t, "link", "set", "eth1", "name", "at0100")
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "tap2"
	if err := n.home.LinkAdd(&netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP}); err != nil {
		t.Fatal(err)
	}
	ip(t, "link", "set", "tap2", "address", "02:00:00:00:00:03")
	for _, i := range []*typespb.Interface{
		{Name: "eth1", DevicePath: "01/00", HwAddr: "02:00:00:00:00:02"},
		{Name: "eth2", HwAddr: "02:00:00:00:00:03"},
		{Name: "eth1", DevicePath: "01/00", HwAddr: "02:00:00:00:00:02", Mtu: 1300},
	} {
		if err := n.UpdateInterface(context.Background(), i); err != nil {
			t.Fatal(err)
		}
	}
	list, err := n.ListInterfaces()
	if err != nil || len(list) != 3 {
		t.Errorf("interfaces are %v, error %v", list, err)
	}
	counters, err := n.Stats()
	if err != nil || len(counters) != 3 {
		t.Errorf("counters are %v, error %v", counters, err)
	}
}

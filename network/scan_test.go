// SPDX-License-Identifier: Apache-2.0

package network

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestScanEmpty(t *testing.T) {
	ns := newNS(t, "empty")
	s, err := Scan(ns.path)
	must(t, err)
	if !reflect.DeepEqual(s, State{}) {
		t.Errorf("an empty namespace holds %+v", s)
	}
}

func TestScanNoNamespace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, path := range []string{file, file + ".none"} {
		if _, err := Scan(path); !errdefs.IsNotFound(err) {
			t.Errorf("%s gave %v", path, err)
		}
	}
}

func TestScanEndpoint(t *testing.T) {
	p := newPod(t)
	got := p.endpoint(t)
	want := Endpoint{
		Index: p.eth0.Attrs().Index, Name: "eth0", Kind: "veth", MAC: mac(t, podMAC), MTU: podMTU,
		Addresses: []netip.Prefix{
			netip.MustParsePrefix(podIP4 + "/24"), netip.MustParsePrefix(podIP6 + "/64"),
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	must(t, p.ns.LinkSetARPOff(p.eth0))
	if !p.endpoint(t).NoARP {
		t.Error("NoARP is not seen")
	}
}

// TestScanBareLink wants links without addresses when they are up.
func TestScanBareLink(t *testing.T) {
	ns := newNS(t, "pod")
	for _, name := range []string{"up0", "down0"} {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		must(t, ns.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: name + "p", PeerNamespace: netlink.NsFd(newNS(t, "far").fd)}))
	}
	up, err := ns.LinkByName("up0")
	must(t, err)
	must(t, ns.LinkSetUp(up))
	s, err := Scan(ns.path)
	must(t, err)
	if len(s.Endpoints) != 1 || s.Endpoints[0].Name != "up0" || len(s.Endpoints[0].Addresses) != 0 {
		t.Errorf("got %+v", s.Endpoints)
	}
}

func TestScanRoutes(t *testing.T) {
	p := newPod(t)
	i := p.eth0.Attrs().Index
	addRoute(t, p.ns, netlink.Route{LinkIndex: i, Gw: net.ParseIP(farIP4)})
	addRoute(t, p.ns, netlink.Route{LinkIndex: i, Gw: net.ParseIP(farIP6), Priority: 77})
	addRoute(t, p.ns, netlink.Route{
		LinkIndex: i, Dst: ipNet(t, "10.8.0.0/16"), Gw: net.ParseIP("169.254.1.1"),
		Src: net.ParseIP(podIP4), Flags: int(netlink.FLAG_ONLINK), MTU: 1300, AdvMSS: 1200, Priority: 5,
	})
	addRoute(t, p.ns, netlink.Route{
		LinkIndex: i, Dst: ipNet(t, "169.254.1.1/32"), Scope: netlink.SCOPE_LINK, Protocol: unix.RTPROT_STATIC,
	})
	s, err := Scan(p.ns.path)
	must(t, err)
	for _, want := range []Route{
		{Family: unix.AF_INET, Gateway: addr(farIP4), Device: "eth0"},
		{Family: unix.AF_INET6, Gateway: addr(farIP6), Device: "eth0", Metric: 77},
		{
			Family: unix.AF_INET, Destination: netip.MustParsePrefix("10.8.0.0/16"), Gateway: addr("169.254.1.1"),
			Source: addr(podIP4), Device: "eth0", Flags: unix.RTNH_F_ONLINK, MTU: 1300, AdvMSS: 1200, Metric: 5,
		},
		{
			Family: unix.AF_INET, Destination: netip.MustParsePrefix("169.254.1.1/32"), Device: "eth0",
			Scope: unix.RT_SCOPE_LINK,
		},
	} {
		if !contains(s.Routes, want) {
			t.Errorf("missing %+v", want)
		}
	}
	if len(s.Routes) != 4 || len(s.Notes) != 0 {
		t.Errorf("got %d routes and notes %q: %+v", len(s.Routes), s.Notes, s.Routes)
	}
}

func contains[T any](list []T, want T) bool {
	for _, v := range list {
		if reflect.DeepEqual(v, want) {
			return true
		}
	}
	return false
}

// TestScanNotes names everything that a guest can't have.
func TestScanNotes(t *testing.T) {
	p := newPod(t)
	i := p.eth0.Attrs().Index
	addRoute(t, p.ns, netlink.Route{LinkIndex: i, Dst: ipNet(t, "10.9.1.0/24"), Table: 100})
	addRoute(t, p.ns, netlink.Route{Dst: ipNet(t, "10.9.2.0/24"), Type: unix.RTN_BLACKHOLE})
	addRoute(t, p.ns, netlink.Route{Dst: ipNet(t, "10.9.3.0/24"), MultiPath: []*netlink.NexthopInfo{
		{LinkIndex: i, Gw: net.ParseIP(farIP4)}, {LinkIndex: i, Gw: net.ParseIP("10.7.0.9")},
	}})
	addRoute(t, p.ns, netlink.Route{LinkIndex: i, Dst: ipNet(t, "10.9.4.0/24"), InitCwnd: 20})
	rule := netlink.NewRule()
	rule.Priority, rule.Table, rule.Src = 1000, 100, ipNet(t, podIP4+"/32")
	must(t, p.ns.RuleAdd(rule))
	s, err := Scan(p.ns.path)
	must(t, err)
	for _, want := range []string{
		"10.9.1.0/24 is in table 100", "10.9.2.0/24 is of type", "10.9.3.0/24 has 2 next hops",
		"10.9.4.0/24 loses its initial window", "policy rule 1000",
	} {
		if !strings.Contains(strings.Join(s.Notes, "\n"), want) {
			t.Errorf("no note has %q", want)
		}
	}
	if len(s.Notes) != 5 {
		t.Errorf("notes: %q", s.Notes)
	}
}

func TestScanNeighbors(t *testing.T) {
	p := newPod(t)
	i := p.eth0.Attrs().Index
	addRoute(t, p.ns, netlink.Route{LinkIndex: i, Gw: net.ParseIP(farIP4)})
	add := func(ip string, state int) {
		must(t, p.ns.NeighSet(&netlink.Neigh{
			LinkIndex: i, IP: net.ParseIP(ip), HardwareAddr: mac(t, peerMAC), State: state,
		}))
	}
	add("10.7.0.50", unix.NUD_PERMANENT)
	add("fd07::50", unix.NUD_PERMANENT)
	add(farIP4, unix.NUD_REACHABLE)
	add("10.7.0.51", unix.NUD_REACHABLE) // neither permanent nor a gateway
	s, err := Scan(p.ns.path)
	must(t, err)
	for _, want := range []Neighbor{
		{Address: addr("10.7.0.50"), MAC: mac(t, peerMAC), Device: "eth0", State: unix.NUD_PERMANENT},
		{Address: addr("fd07::50"), MAC: mac(t, peerMAC), Device: "eth0", State: unix.NUD_PERMANENT},
		{Address: addr(farIP4), MAC: mac(t, peerMAC), Device: "eth0", State: unix.NUD_REACHABLE},
	} {
		if !contains(s.Neighbors, want) {
			t.Errorf("missing %+v", want)
		}
	}
	if len(s.Neighbors) != 3 {
		t.Errorf("got %+v", s.Neighbors)
	}
}

// A namespace that is joined to a VM says so.
func TestScanFindsTheTapOfAVM(t *testing.T) {
	p := newPod(t)
	look := func(want string) {
		t.Helper()
		s, err := Scan(p.ns.path)
		must(t, err)
		if strings.Join(s.Taps, " ") != want || len(s.Endpoints) != 1 {
			t.Errorf("the TAP %q among %d endpoints, want %q", s.Taps, len(s.Endpoints), want)
		}
	}
	look("")
	tap, err := Connect(p.ns.path, p.endpoint(t), Options{})
	must(t, err)
	look(tap.Name)
	must(t, Disconnect(p.ns.path, tap.Name, "eth0"))
	must(t, tap.Close())
	look("")
}

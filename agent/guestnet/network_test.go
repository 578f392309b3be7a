// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/device"
	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/typespb"
)

// newNetwork returns the network of a namespace of its own. The test stays on
// its thread, which ends with it.
func newNetwork(t *testing.T) *Network {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a network namespace of its own needs root")
	}
	runtime.LockOSThread()
	own, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = own.Close() })
	hub, err := device.NewHub()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- hub.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := leaktest.Receive(t, done); err != nil {
			t.Error(err)
		}
	})
	n, err := New(&device.Finder{Hub: hub, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	n.link = func(_ context.Context, p device.PCIPath) (string, error) {
		return "at" + strings.ReplaceAll(p.String(), "/", ""), nil
	}
	return n
}

func (n *Network) tap(t *testing.T, name, mac string) netlink.Link {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	if err := n.nl().LinkAdd(&netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP}); err != nil {
		t.Fatal(err)
	}
	ip(t, "link", "set", name, "address", mac)
	l, err := n.nl().LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func ip(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
	// A TAP device that nobody has open has no carrier.
	return strings.ReplaceAll(string(out), "linkdown ", "")
}

func contain(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
}

func TestUpdateInterface(t *testing.T) {
	n := newNetwork(t)
	n.tap(t, "d0", "02:00:00:00:00:01")
	n.tap(t, "eth0", "02:00:00:00:00:02")
	v4, v6 := &typespb.IPAddress{Address: "10.1.0.2", Mask: "16"}, &typespb.IPAddress{Family: typespb.IPFamily_v6, Address: "fd00::2", Mask: "64"}
	if err := n.UpdateInterface(t.Context(), &typespb.Interface{
		Name: "eth0", HwAddr: "02:00:00:00:00:01", Mtu: 1400, RawFlags: unix.IFF_NOARP,
		IPAddresses: []*typespb.IPAddress{{Address: "10.9.9.9", Mask: "32"}, v6},
	}); err != nil {
		t.Fatal(err)
	}
	contain(t, ip(t, "addr", "show", "eth0"), "mtu 1400", "NOARP", "UP", "02:00:00:00:00:01", "10.9.9.9/32", "fd00::2/64")
	if out := ip(t, "-6", "addr", "show", "eth0"); strings.Contains(out, "tentative") {
		t.Errorf("the IPv6 address is still checked:\n%s", out)
	}
	// Again, with another address and another MAC, found by its place.
	ip(t, "link", "set", "eth0", "down")
	ip(t, "link", "set", "eth0", "name", "at0203")
	if err := n.UpdateInterface(t.Context(), &typespb.Interface{
		Name: "net1", DevicePath: "02/03", HwAddr: "02:00:00:00:00:77", IPAddresses: []*typespb.IPAddress{v4, v6},
	}); err != nil {
		t.Fatal(err)
	}
	out := ip(t, "addr", "show", "net1")
	contain(t, out, "02:00:00:00:00:77", "10.1.0.2/16", "fd00::2/64")
	if strings.Contains(out, "10.9.9.9") {
		t.Errorf("a stale address is left:\n%s", out)
	}
	list, err := n.ListInterfaces()
	if err != nil || len(list) != 2 {
		t.Fatalf("interfaces %v: %v", list, err)
	}
}

func TestInterfaceThatComesLater(t *testing.T) {
	n := newNetwork(t)
	failed := make(chan error, 1)
	go func() {
		failed <- n.UpdateInterface(context.Background(), &typespb.Interface{Name: "late", HwAddr: "02:00:00:00:00:09"})
	}()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "d9"
	if err := n.nl().LinkAdd(&netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP}); err != nil {
		t.Fatal(err)
	}
	ip(t, "link", "set", "d9", "address", "02:00:00:00:00:09")
	// The kernel tells of links, not of their MACs: another link is the event.
	n.hub.Poke()
	if err := leaktest.Receive(t, failed); err != nil {
		t.Fatal(err)
	}
	contain(t, ip(t, "link"), "late")
}

func TestRoutesAndNeighbors(t *testing.T) {
	n := newNetwork(t)
	n.tap(t, "eth0", "02:00:00:00:00:01")
	if err := n.UpdateInterface(t.Context(), &typespb.Interface{Name: "eth0", HwAddr: "02:00:00:00:00:01", IPAddresses: []*typespb.IPAddress{
		{Address: "10.1.0.2", Mask: "32"}, {Address: "fd00::2", Mask: "128"},
	}}); err != nil {
		t.Fatal(err)
	}
	routes := []*typespb.Route{
		{Dest: "0.0.0.0/0", Gateway: "169.254.1.1", Device: "eth0"},
		{Dest: "169.254.1.1/32", Device: "eth0", Scope: 253},
		{Dest: "10.5.0.0/16", Gateway: "10.99.0.1", Device: "eth0", Flags: unix.RTNH_F_ONLINK, Mtu: 1300, Source: "10.1.0.2"},
		{Family: typespb.IPFamily_v6, Dest: "::/0", Gateway: "fe80::1", Device: "eth0"},
		{Family: typespb.IPFamily_v6, Dest: "fd01::/64", Device: "eth0", Source: "fd00::2"},
	}
	for range 2 { // a route that is there is no error
		if err := n.UpdateRoutes(routes); err != nil {
			t.Fatal(err)
		}
	}
	contain(t, ip(t, "route"), "default via 169.254.1.1 dev eth0", "169.254.1.1 dev eth0 scope link",
		"10.5.0.0/16 via 10.99.0.1 dev eth0 src 10.1.0.2 onlink mtu 1300")
	contain(t, ip(t, "-6", "route"), "default via fe80::1 dev eth0", "fd01::/64 dev eth0 src fd00::2")
	list, err := n.ListRoutes()
	if err != nil || len(list) != len(routes) {
		t.Errorf("%d routes, want %d: %v", len(list), len(routes), err)
	}
	for _, r := range list {
		if r.Gateway == "fe80::1" && (r.Dest != "" || r.Family != typespb.IPFamily_v6) {
			t.Errorf("the IPv6 default route is %v", r)
		}
	}
	if err := n.AddNeighbors([]*typespb.ARPNeighbor{
		{ToIPAddress: &typespb.IPAddress{Address: "169.254.1.1"}, Device: "eth0", Lladdr: "02:00:00:00:00:0a"},
		{ToIPAddress: &typespb.IPAddress{Address: "fe80::1"}, Device: "eth0", Lladdr: "02:00:00:00:00:0b", State: unix.NUD_REACHABLE},
	}); err != nil {
		t.Fatal(err)
	}
	contain(t, ip(t, "neigh"), "169.254.1.1 dev eth0 lladdr 02:00:00:00:00:0a PERMANENT", "fe80::1 dev eth0 lladdr 02:00:00:00:00:0b")
}

// A route that a later request does not have goes; one that somebody in the guest
// made stays, and so does one that went by itself.
func TestRoutesThatGo(t *testing.T) {
	n := newNetwork(t)
	n.tap(t, "eth0", "02:00:00:00:00:01")
	if err := n.UpdateInterface(t.Context(), &typespb.Interface{Name: "eth0", HwAddr: "02:00:00:00:00:01", IPAddresses: []*typespb.IPAddress{
		{Address: "10.1.0.2", Mask: "24"}, {Address: "fd00::2", Mask: "64"},
	}}); err != nil {
		t.Fatal(err)
	}
	routes := []*typespb.Route{
		{Gateway: "10.1.0.1", Device: "eth0"},
		{Dest: "10.5.0.0/16", Gateway: "10.1.0.1", Device: "eth0"},
		{Dest: "10.6.0.0/16", Device: "eth0", Scope: 253},
		{Family: typespb.IPFamily_v6, Gateway: "fd00::1", Device: "eth0"},
	}
	if err := n.UpdateRoutes(routes); err != nil {
		t.Fatal(err)
	}
	ip(t, "route", "add", "10.7.0.0/16", "dev", "eth0")
	if err := n.UpdateRoutes([]*typespb.Route{{Gateway: "10.1.0.7", Device: "eth0"}}); err != nil {
		t.Fatal(err)
	}
	out := ip(t, "route") + ip(t, "-6", "route")
	contain(t, out, "default via 10.1.0.7", "10.7.0.0/16 dev eth0")
	for _, gone := range []string{"10.1.0.1", "10.5.0.0", "10.6.0.0", "fd00::1"} {
		if strings.Contains(out, gone) {
			t.Errorf("%s is left in\n%s", gone, out)
		}
	}
	ip(t, "route", "del", "default")
	if err := n.UpdateRoutes(nil); err != nil {
		t.Fatal(err)
	}
	contain(t, ip(t, "route"), "10.7.0.0/16 dev eth0")
}

func TestBadNetwork(t *testing.T) {
	n := newNetwork(t)
	n.timeout = 50 * time.Millisecond
	address := func(a, m string) error {
		_, err := addresses([]*typespb.IPAddress{{Address: a, Mask: m}})
		return err
	}
	for name, err := range map[string]error{
		"address":       address("10.0.0", "8"),
		"mask":          address("10.0.0.1", "33"),
		"mask of words": address("10.0.0.1", "255.0.0.0"),
		"identity":      n.UpdateInterface(t.Context(), &typespb.Interface{Name: "x"}),
		"path":          n.UpdateInterface(t.Context(), &typespb.Interface{Name: "x", DevicePath: "zz"}),
		"destination":   n.UpdateRoutes([]*typespb.Route{{Dest: "nowhere", Device: "lo"}}),
		"route":         n.UpdateRoutes([]*typespb.Route{{Dest: "10.0.0.0/8"}}),
		"neighbour":     n.AddNeighbors([]*typespb.ARPNeighbor{{Device: "lo"}}),
	} {
		if !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := n.UpdateRoutes([]*typespb.Route{{Dest: "10.0.0.0/8", Device: "none"}}); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("device: %v", err)
	}
	err := n.UpdateInterface(t.Context(), &typespb.Interface{Name: "x", HwAddr: "02:00:00:00:00:99"})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "02:00:00:00:00:99") {
		t.Errorf("MAC: %v", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package network

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// needRoot skips where no namespaces can be made.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("needs TAP devices:", err)
	}
}

// newNS makes a namespace for the test's life.
func newNS(t *testing.T, name string) *namespace {
	t.Helper()
	needRoot(t)
	path := filepath.Join(t.TempDir(), name)
	if err := NewNamespace(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := DeleteNamespace(path); err != nil {
			t.Error(err)
		}
	})
	ns, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ns.close)
	return ns
}

// pod is a pod's namespace whose eth0 is a veth, and the one of its peer.
type pod struct {
	ns, far *namespace
	eth0    netlink.Link
	peer    netlink.Link
}

const (
	podMTU  = 1420
	podIP4  = "10.7.0.2"
	farIP4  = "10.7.0.1"
	podIP6  = "fd07::2"
	farIP6  = "fd07::1"
	podMAC  = "02:07:00:00:00:02"
	peerMAC = "02:07:00:00:00:01"
)

func newPod(t *testing.T) *pod {
	t.Helper()
	p := &pod{ns: newNS(t, "pod"), far: newNS(t, "far")}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = "eth0", podMTU, mac(t, podMAC)
	veth := &netlink.Veth{
		LinkAttrs: attrs, PeerName: "peer0", PeerHardwareAddr: mac(t, peerMAC),
		PeerNamespace: netlink.NsFd(p.far.fd),
	}
	must(t, p.ns.LinkAdd(veth))
	p.eth0 = p.link(t, p.ns, "eth0")
	p.peer = p.link(t, p.far, "peer0")
	addAddr(t, p.ns, p.eth0, podIP4+"/24")
	addAddr(t, p.ns, p.eth0, podIP6+"/64")
	addAddr(t, p.far, p.peer, farIP4+"/24")
	addAddr(t, p.far, p.peer, farIP6+"/64")
	must(t, p.ns.LinkSetUp(p.eth0))
	must(t, p.far.LinkSetUp(p.peer))
	return p
}

func (p *pod) link(t *testing.T, ns *namespace, name string) netlink.Link {
	t.Helper()
	l, err := ns.LinkByName(name)
	must(t, err)
	return l
}

// endpoint is what Scan makes of eth0.
func (p *pod) endpoint(t *testing.T) Endpoint {
	t.Helper()
	s, err := Scan(p.ns.path)
	must(t, err)
	for _, ep := range s.Endpoints {
		if ep.Name == "eth0" {
			return ep
		}
	}
	t.Fatalf("no eth0 in %+v", s)
	return Endpoint{}
}

// addAddr adds an address that needs no check for duplicates first.
func addAddr(t *testing.T, ns *namespace, l netlink.Link, cidr string) {
	t.Helper()
	a, err := netlink.ParseAddr(cidr)
	must(t, err)
	if a.IP.To4() == nil {
		a.Flags = unix.IFA_F_NODAD
	}
	must(t, ns.AddrAdd(l, a))
}

func addRoute(t *testing.T, ns *namespace, r netlink.Route) {
	t.Helper()
	if err := ns.RouteAdd(&r); err != nil {
		t.Fatalf("add %v: %v", r, err)
	}
}

func mac(t *testing.T, s string) net.HardwareAddr {
	t.Helper()
	m, err := net.ParseMAC(s)
	must(t, err)
	return m
}

func ipNet(t *testing.T, s string) *net.IPNet {
	t.Helper()
	_, n, err := net.ParseCIDR(s)
	must(t, err)
	return n
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openFDs counts the process's file descriptors.
func openFDs(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(list)
}

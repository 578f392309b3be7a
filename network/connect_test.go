// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const patience = time.Minute

// ping sends an echo request of size bytes from a namespace and waits for the
// reply.
func ping(t *testing.T, ns *namespace, to string, size int) {
	t.Helper()
	network, listen, request, reply := "ip4:icmp", "0.0.0.0", byte(8), byte(0)
	if addr(to).Is6() {
		network, listen, request, reply = "ip6:ipv6-icmp", "::", 128, 129
	}
	var c net.PacketConn
	must(t, ns.enter(func() (err error) {
		c, err = net.ListenPacket(network, listen)
		return err
	}))
	defer c.Close()
	msg := make([]byte, size)
	msg[0] = request
	copy(msg[4:8], binary.BigEndian.AppendUint32(nil, rand.Uint32())) // late replies to others are told apart
	seal(msg, 2, nil)                                                 // of ICMPv6, the kernel's socket makes its own
	b := make([]byte, 64<<10)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		// The kernel drops a packet to a neighbour that took more than three seconds to say where it is.
		if _, err := c.WriteTo(msg, &net.IPAddr{IP: net.ParseIP(to)}); err != nil && !errors.Is(err, unix.EHOSTUNREACH) {
			t.Fatalf("ping %s: %v", to, err)
		}
		for _ = c.SetReadDeadline(time.Now().Add(time.Second)); ; {
			n, from, err := c.ReadFrom(b)
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, unix.EHOSTUNREACH) {
				break
			}
			if err != nil {
				t.Fatalf("ping %s: %v", to, err)
			}
			if n < 8 || b[0] != reply || from.String() != to || !bytes.Equal(b[4:8], msg[4:8]) {
				continue
			}
			if n != size {
				t.Fatalf("ping %s: %d of %d bytes came back", to, n, size)
			}
			return
		}
	}
	t.Fatalf("ping %s: no answer", to)
}

func TestConnectCarriesBothWays(t *testing.T) {
	p := newPod(t)
	ep := p.endpoint(t)
	tap, err := Connect(p.ns.path, ep, Options{})
	must(t, err)
	defer tap.Close()
	g := startGuest(t, tap.Files[0])
	for _, ip := range []string{podIP4, podIP6} {
		ping(t, p.far, ip, 64)
		ping(t, p.far, ip, podMTU-48) // full frames
	}
	for _, ip := range []string{farIP4, farIP6} {
		g.reaches(t, addr(ip))
	}
	l := p.link(t, p.ns, tap.Name)
	if l.Attrs().MTU != podMTU {
		t.Errorf("the TAP's MTU is %d, the endpoint's %d", l.Attrs().MTU, podMTU)
	}
	if l.Attrs().HardwareAddr.String() == podMAC {
		t.Error("the TAP has the guest's MAC")
	}
	if addrs, _ := p.ns.AddrList(l, netlink.FAMILY_ALL); len(addrs) != 0 {
		t.Errorf("the TAP has the addresses %v", addrs)
	}
	if again := p.endpoint(t); again.Name != ep.Name {
		t.Errorf("after Connect the endpoint reads %+v", again)
	}
	if s, _ := Scan(p.ns.path); len(s.Endpoints) != 1 {
		t.Errorf("after Connect the namespace has %d endpoints", len(s.Endpoints))
	}
}

// TestConnectLeavesNothing counts links, qdiscs, filters and descriptors.
func TestConnectLeavesNothing(t *testing.T) {
	p := newPod(t)
	ep := p.endpoint(t)
	before := openFDs(t)
	for range 10 {
		tap, err := Connect(p.ns.path, ep, Options{Queues: 2, Persistent: true})
		must(t, err)
		if len(tap.Files) != 2 {
			t.Fatalf("%d queues", len(tap.Files))
		}
		must(t, tap.Close())
		must(t, tap.Close())
		_ = p.link(t, p.ns, tap.Name) // persistent
		must(t, Disconnect(p.ns.path, tap.Name, "eth0"))
		must(t, Disconnect(p.ns.path, tap.Name, "eth0"))
	}
	if after := openFDs(t); after > before {
		t.Errorf("%d file descriptors before, %d after", before, after)
	}
	expectClean(t, p)
	ping(t, p.far, podIP4, 64) // the namespace itself answers again
}

// expectClean wants the namespace as it was before Connect.
func expectClean(t *testing.T, p *pod) {
	t.Helper()
	links, err := p.ns.LinkList()
	must(t, err)
	for _, l := range links {
		if isTun(l) {
			t.Errorf("link %s is left", l.Attrs().Name)
		}
	}
	if has, err := hasIngress(p.ns, p.eth0); has || err != nil {
		t.Errorf("an ingress qdisc is left (%v)", err)
	}
	if mine, others, err := filters(p.ns, p.eth0); mine != "" || others != 0 || err != nil {
		t.Errorf("filters are left: ours %q, %d others (%v)", mine, others, err)
	}
}

// TestConnectTwice fails and leaves the first connection as it was.
func TestConnectTwice(t *testing.T) {
	p := newPod(t)
	ep := p.endpoint(t)
	tap, err := Connect(p.ns.path, ep, Options{})
	must(t, err)
	defer tap.Close()
	startGuest(t, tap.Files[0])
	before := openFDs(t)
	for _, o := range []Options{{}, {Name: "tap99_kata"}} {
		if _, err := Connect(p.ns.path, ep, o); !errdefs.IsAlreadyExists(err) {
			t.Errorf("with %+v got %v", o, err)
		}
	}
	if after := openFDs(t); after > before {
		t.Errorf("%d file descriptors before, %d after", before, after)
	}
	if _, err := p.ns.LinkByName("tap99_kata"); err == nil {
		t.Error("the second TAP is left")
	}
	ping(t, p.far, podIP4, 64)
	must(t, Disconnect(p.ns.path, tap.Name, "eth0"))
	expectClean(t, p)
}

// TestDisconnectAfterVMM closes the queues first, as the end of a VMM does.
func TestDisconnectAfterVMM(t *testing.T) {
	p := newPod(t)
	tap, err := Connect(p.ns.path, p.endpoint(t), Options{})
	must(t, err)
	must(t, tap.Close())
	if _, err := p.ns.LinkByName(tap.Name); err == nil {
		t.Error("the TAP outlives its queues")
	}
	must(t, Disconnect(p.ns.path, tap.Name, "eth0"))
	expectClean(t, p)
}

func TestDisconnectAbsent(t *testing.T) {
	ns := newNS(t, "pod")
	must(t, Disconnect(ns.path, "tap2_kata", "eth0"))
	must(t, Disconnect(ns.path+".none", "tap2_kata", "eth0"))
	if err := Disconnect(ns.path, "lo", "eth0"); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("deleting lo as a TAP gave %v", err)
	}
}

// TestDisconnectKeepsOthers leaves alone what somebody else put on the link.
func TestDisconnectKeepsOthers(t *testing.T) {
	p := newPod(t)
	tap, err := Connect(p.ns.path, p.endpoint(t), Options{})
	must(t, err)
	defer tap.Close()
	other := filterOf(p.eth0)
	other.Priority = 7
	must(t, p.ns.FilterAdd(&netlink.U32{FilterAttrs: other, ClassId: 1}))
	must(t, Disconnect(p.ns.path, tap.Name, "eth0"))
	mine, others, err := filters(p.ns, p.eth0)
	if mine != "" || others == 0 || err != nil {
		t.Errorf("our filters %q and %d others are left (%v)", mine, others, err)
	}
	must(t, Disconnect(p.ns.path, tap.Name, "eth0"))
	if has, _ := hasIngress(p.ns, p.eth0); !has {
		t.Error("the ingress qdisc with another's filter is gone")
	}
}

// TestConnectKinds names every kind that can't be joined.
func TestConnectKinds(t *testing.T) {
	for _, c := range []struct {
		link netlink.Link
		want string // "" for kinds that work
	}{
		{&netlink.Veth{}, ""},
		{&netlink.Macvlan{}, ""},
		{&netlink.IPVlan{}, ""},
		{&netlink.Tuntap{Mode: netlink.TUNTAP_MODE_TAP}, ""},
		{&netlink.Tuntap{Mode: netlink.TUNTAP_MODE_TUN}, "TUN device"},
		{&netlink.Device{}, "VFIO"},
		{&netlink.Dummy{}, "leads nowhere"},
		{&netlink.Bridge{}, "one of its ports"},
		{&netlink.Vlan{}, "veth or macvlan"},
		{&netlink.Bond{}, "veth or macvlan"},
		{&netlink.Netkit{}, "veth mode"},
		{&netlink.Macvtap{}, "macvlan"},
		{&netlink.GenericLink{LinkType: "strange"}, `"strange"`},
	} {
		err := connectable(c.link)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%T: %v", c.link, err)
		case c.want != "" && (!errdefs.IsNotImplemented(err) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%T: got %v, want %q", c.link, err, c.want)
		}
	}
}

// TestConnectRefused makes a link that can't be joined and calls Connect.
func TestConnectRefused(t *testing.T) {
	ns := newNS(t, "pod")
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br0"
	must(t, ns.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}))
	_, err := Connect(ns.path, Endpoint{Name: "br0", Index: 2}, Options{})
	if !errdefs.IsNotImplemented(err) || !strings.Contains(err.Error(), "connect br0 in") {
		t.Errorf("a bridge gave %v", err)
	}
	if _, err := Connect(ns.path, Endpoint{Name: "none", Index: 3}, Options{}); !errdefs.IsNotFound(err) {
		t.Errorf("no link gave %v", err)
	}
	if _, err := Connect(ns.path+".none", Endpoint{Name: "br0"}, Options{}); !errdefs.IsNotFound(err) {
		t.Errorf("no namespace gave %v", err)
	}
	p := newPod(t)
	for _, o := range []Options{{Queues: 257}, {Name: "tap1234567890_kata"}} {
		if _, err := Connect(p.ns.path, p.endpoint(t), o); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%+v gave %v", o, err)
		}
	}
	expectClean(t, p)
}

// TestConnectMacvlan puts the pod on a macvlan of the far end's other veth leg.
func TestConnectMacvlan(t *testing.T) {
	p := newPod(t) // used for its two namespaces and the veth between them
	for _, a := range p.endpoint(t).Addresses {
		must(t, p.ns.AddrDel(p.eth0, &netlink.Addr{IPNet: &net.IPNet{
			IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen()),
		}}))
	}
	pod := newNS(t, "macvlan")
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = "mv0", p.eth0.Attrs().Index
	err := p.ns.LinkAdd(&netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE})
	if err == unix.EOPNOTSUPP {
		t.Skip("this kernel has no macvlan")
	}
	must(t, err)
	mv := p.link(t, p.ns, "mv0")
	must(t, p.ns.LinkSetNsFd(mv, int(pod.fd)))
	mv = p.link(t, pod, "mv0")
	addAddr(t, pod, mv, podIP4+"/24")
	addAddr(t, pod, mv, podIP6+"/64")
	must(t, pod.LinkSetUp(mv))
	s, err := Scan(pod.path)
	must(t, err)
	if len(s.Endpoints) != 1 || s.Endpoints[0].Kind != "macvlan" {
		t.Fatalf("got %+v", s)
	}
	tap, err := Connect(pod.path, s.Endpoints[0], Options{})
	must(t, err)
	defer tap.Close()
	g := startGuestAs(t, tap.Files[0], s.Endpoints[0].MAC)
	ping(t, p.far, podIP4, 64)
	ping(t, p.far, podIP6, 64)
	g.reaches(t, addr(farIP4))
	must(t, Disconnect(pod.path, tap.Name, "mv0"))
}

func TestTapName(t *testing.T) {
	if got := TapName(3); got != "tap3_kata" {
		t.Errorf("got %s", got)
	}
}

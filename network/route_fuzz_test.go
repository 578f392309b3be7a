// SPDX-License-Identifier: Apache-2.0

package network

import (
	"net"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A route to IPv4 addresses in the form of IPv6 became a default route.
func TestRouteToNoPrefix(t *testing.T) {
	s := scan{names: map[int]string{7: "eth0"}}
	mapped := &net.IPNet{IP: net.ParseIP("::ffff:10.0.0.0").To16(), Mask: net.CIDRMask(120, 128)}
	s.route(unix.AF_INET6, netlink.Route{Table: unix.RT_TABLE_MAIN, Type: unix.RTN_UNICAST, LinkIndex: 7, Dst: mapped})
	if len(s.state.Routes) != 0 || len(s.state.Notes) != 1 {
		t.Errorf("routes %v, notes %q", s.state.Routes, s.state.Notes)
	}
}

// FuzzRoutes describes any route of the kernel's: what a guest gets leads over a
// link that it has, and only a default route has no destination.
func FuzzRoutes(f *testing.F) {
	f.Add([]byte{10, 0, 0, 0}, 24, 32, []byte{10, 0, 0, 1}, []byte{10, 0, 0, 2}, 7, unix.RT_TABLE_MAIN, unix.RTN_UNICAST, true)
	f.Add([]byte{}, 0, 0, []byte{10, 0, 0, 1}, []byte{}, 7, unix.RT_TABLE_MAIN, unix.RTN_UNICAST, false)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 0}, 120, 128, []byte{1}, []byte{}, 7, unix.RT_TABLE_MAIN, unix.RTN_UNICAST, true)
	f.Add([]byte{1, 2, 3}, 99, 32, []byte{}, []byte{}, 1, 5, 9, true)
	f.Fuzz(func(t *testing.T, dst []byte, ones, bits int, gw, src []byte, link, table, kind int, hasDst bool) {
		r := netlink.Route{Gw: gw, Src: src, LinkIndex: link, Table: table, Type: kind}
		if hasDst {
			r.Dst = &net.IPNet{IP: dst, Mask: net.CIDRMask(ones, bits)}
		}
		s := scan{names: map[int]string{7: "eth0"}}
		s.route(unix.AF_INET, r)
		_, _ = leftOut(r), describe(r)
		for _, got := range s.state.Routes {
			if got.Device != "eth0" {
				t.Fatalf("%v leads over another link", got)
			}
			zeros, _ := net.CIDRMask(ones, bits).Size()
			if isDefault := !got.Destination.IsValid(); isDefault && hasDst && zeros != 0 {
				t.Fatalf("%v became a default route", r)
			}
		}
	})
}

// FuzzAddresses tells which IPv6 addresses the kernel made of any MAC.
func FuzzAddresses(f *testing.F) {
	f.Add([]byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 2, 1, 2, 0xff, 0xfe, 3, 4, 5}, []byte{0, 1, 2, 3, 4, 5})
	f.Add([]byte{1, 2, 3, 4}, []byte{})
	f.Fuzz(func(t *testing.T, ip, mac []byte) {
		a, ok := address(ip)
		if ok != (len(ip) == 4 || len(ip) == 16) {
			t.Fatalf("%x is an address: %v", ip, ok)
		}
		if isOwnLinkLocal(a, mac) && (!a.IsLinkLocalUnicast() || len(mac) != 6) {
			t.Fatalf("%s is of %x", a, mac)
		}
	})
}

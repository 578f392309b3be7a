// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/typespb"
)

// addresses reads the addresses of an interface. IPv6 ones skip duplicate
// address detection: the address is the pod's, checked by who gave it out, and
// must work at once.
func addresses(in []*typespb.IPAddress) ([]*netlink.Addr, error) {
	var out []*netlink.Addr
	for _, a := range in {
		ip, err := netip.ParseAddr(a.Address)
		if err != nil {
			return nil, fmt.Errorf("the address %q: %w: %w", a.Address, err, errdefs.ErrInvalidArgument)
		}
		ip = ip.Unmap()
		bits, err := strconv.Atoi(a.Mask)
		if err != nil || bits < 0 || bits > ip.BitLen() {
			return nil, fmt.Errorf("the mask %q of address %s is not a number of bits: %w", a.Mask, ip, errdefs.ErrInvalidArgument)
		}
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(bits, ip.BitLen())}}
		if ip.Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		out = append(out, addr)
	}
	return out, nil
}

func wireAddress(n *net.IPNet) *typespb.IPAddress {
	bits, _ := n.Mask.Size()
	return &typespb.IPAddress{Family: wireFamily(n.IP), Address: n.IP.String(), Mask: strconv.Itoa(bits)}
}

func wireFamily(ip net.IP) typespb.IPFamily {
	if ip.To4() == nil {
		return typespb.IPFamily_v6
	}
	return typespb.IPFamily_v4
}

func family(f typespb.IPFamily) int {
	if f == typespb.IPFamily_v6 {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}

// parseIP reads an address that may be absent.
func parseIP(what, text string) (net.IP, error) {
	if text == "" {
		return nil, nil
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return nil, fmt.Errorf("the %s %q: %w: %w", what, text, err, errdefs.ErrInvalidArgument)
	}
	return ip.Unmap().AsSlice(), nil
}

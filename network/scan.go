// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// maxScans bounds how often a scan begins anew because the kernel reports that
// tables changed while they were read.
const maxScans = 10

// Scan reads what the network namespace bound to nsPath holds. Links that have
// an address are endpoints, and so are links without one when they are up and
// of a kind made to join a namespace to a network; the loopback device, the
// TAPs of [Connect] and the ports of a bridge are not. The error is ErrNotFound
// when nsPath is no namespace.
func Scan(nsPath string) (State, error) {
	ns, err := open(nsPath)
	if err != nil {
		return State{}, err
	}
	defer ns.close()
	for range maxScans {
		s := scan{ns: ns, names: make(map[int]string)}
		if err = s.all(); err == nil {
			return s.state, nil
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return State{}, fmt.Errorf("read network namespace %s: %w", nsPath, err)
}

// scan is one reading of a namespace.
type scan struct {
	ns    *namespace
	names map[int]string // of the endpoints, by index
	state State
}

func (s *scan) note(format string, args ...any) {
	s.state.Notes = append(s.state.Notes, fmt.Sprintf(format, args...))
}

// all reads links first: the rest refers to them.
func (s *scan) all() error {
	for _, step := range []func() error{s.links, s.routes, s.rules, s.neighbors} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) links() error {
	links, err := s.ns.LinkList()
	if err != nil {
		return fmt.Errorf("list the links: %w", err)
	}
	for _, l := range links {
		a := l.Attrs()
		if isOwnTap(l) {
			s.state.Taps = append(s.state.Taps, a.Name)
			continue
		}
		if a.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, err := s.addresses(l)
		if err != nil {
			return err
		}
		switch {
		case a.MasterIndex != 0:
			s.note("link %s belongs to another link and is not given to the guest", a.Name)
			continue
		case len(addrs) == 0 && !(joins(l.Type()) && a.Flags&net.FlagUp != 0):
			continue
		}
		s.names[a.Index] = a.Name
		s.state.Endpoints = append(s.state.Endpoints, Endpoint{
			Index:     a.Index,
			Name:      a.Name,
			Kind:      l.Type(),
			MAC:       a.HardwareAddr,
			MTU:       a.MTU,
			NoARP:     a.RawFlags&unix.IFF_NOARP != 0,
			Addresses: addrs,
		})
	}
	return nil
}

// addresses returns the addresses of a link that somebody has given to it.
func (s *scan) addresses(l netlink.Link) ([]netip.Prefix, error) {
	list, err := s.ns.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list the addresses of %s: %w", l.Attrs().Name, err)
	}
	var out []netip.Prefix
	for _, a := range list {
		p, ok := prefix(a.IPNet)
		if !ok || a.Flags&unix.IFA_F_TEMPORARY != 0 || isOwnLinkLocal(p.Addr(), l.Attrs().HardwareAddr) {
			continue
		}
		if a.Peer != nil {
			s.note("address %s of %s has the peer %s, which the guest does not learn",
				p, l.Attrs().Name, a.Peer)
		}
		out = append(out, p)
	}
	return out, nil
}

// isOwnLinkLocal reports whether the kernel made a link-local address from the
// MAC (RFC 4291, appendix A); the guest's kernel makes the same one.
func isOwnLinkLocal(a netip.Addr, mac net.HardwareAddr) bool {
	if !a.Is6() || !a.IsLinkLocalUnicast() || len(mac) != 6 {
		return false
	}
	b := a.As16()
	return bytes.Equal(b[8:], []byte{mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]})
}

// neighbors keeps permanent entries, and gateways whose address is known now:
// the guest starts without asking for it.
func (s *scan) neighbors() error {
	gateways := make(map[netip.Addr]bool)
	for _, r := range s.state.Routes {
		gateways[r.Gateway] = r.Gateway.IsValid()
	}
	for _, ep := range s.state.Endpoints {
		list, err := s.ns.NeighList(ep.Index, netlink.FAMILY_ALL)
		if err != nil {
			return fmt.Errorf("list the neighbours of %s: %w", ep.Name, err)
		}
		for _, n := range list {
			ip, ok := address(n.IP)
			if !ok || len(n.HardwareAddr) == 0 {
				continue
			}
			if n.State&unix.NUD_PERMANENT == 0 && !(n.State&unix.NUD_REACHABLE != 0 && gateways[ip]) {
				continue
			}
			s.state.Neighbors = append(s.state.Neighbors, Neighbor{
				Address: ip, MAC: n.HardwareAddr, Device: ep.Name, State: n.State, Flags: n.Flags,
			})
		}
	}
	return nil
}

// address converts to the form that compares: IPv4 never as IPv6.
func address(ip net.IP) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(ip)
	return a.Unmap(), ok
}

func prefix(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	a, ok := address(n.IP)
	bits, _ := n.Mask.Size()
	p := netip.PrefixFrom(a, bits)
	return p, ok && p.IsValid() // of IPv4 in the form of IPv6 the bits are too many
}

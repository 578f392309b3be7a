// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Priorities of the rules every namespace is born with, see ip-rule(8).
const (
	ruleLocal   = 0
	ruleMain    = 32766
	ruleDefault = 32767
)

// loopbackIndex is the index of the loopback device in every namespace
// (LOOPBACK_IFINDEX of the kernel).
const loopbackIndex = 1

// routes reads the main table, and names what other tables hold.
func (s *scan) routes() error {
	every := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, err := s.ns.RouteListFiltered(family, every, netlink.RT_FILTER_TABLE)
		if err != nil {
			return fmt.Errorf("list the routes: %w", err)
		}
		for _, r := range list {
			s.route(family, r)
		}
	}
	return nil
}

func (s *scan) route(family int, r netlink.Route) {
	switch {
	case r.Table == unix.RT_TABLE_LOCAL, r.Protocol == unix.RTPROT_KERNEL:
		return // the guest's kernel makes its own
	case r.Table != unix.RT_TABLE_MAIN:
		s.note("route %s is in table %d; the guest has the main table only", describe(r), r.Table)
		return
	case r.Type != unix.RTN_UNICAST:
		s.note("route %s is of type %d; the guest gets unicast routes only", describe(r), r.Type)
		return
	case len(r.MultiPath) > 0:
		s.note("route %s has %d next hops; the guest gets routes with one only", describe(r), len(r.MultiPath))
		return
	case r.Via != nil || r.Encap != nil || r.NewDst != nil || r.MPLSDst != nil:
		s.note("route %s has a gateway of another family or an encapsulation; the guest does not get it", describe(r))
		return
	}
	device, ok := s.names[r.LinkIndex]
	if !ok {
		if r.LinkIndex == loopbackIndex {
			return
		}
		s.note("route %s leads to a link that the guest does not get", describe(r))
		return
	}
	if extra := leftOut(r); extra != "" {
		s.note("route %s loses its %s in the guest", describe(r), extra)
	}
	out := Route{
		Family: family, Device: device,
		Scope: int(r.Scope), Flags: r.Flags, MTU: r.MTU, AdvMSS: r.AdvMSS, Metric: r.Priority,
	}
	switch p, ok := prefix(r.Dst); {
	case r.Dst != nil && !ok:
		// Without its destination it would be a default route.
		s.note("route %s leads to what is no prefix; the guest does not get it", r.Dst)
		return
	case ok && p.Bits() > 0:
		out.Destination = p
	}
	out.Gateway, _ = address(r.Gw)
	out.Source, _ = address(r.Src)
	s.state.Routes = append(s.state.Routes, out)
}

// leftOut names attributes of a route that [Route] has no field for.
func leftOut(r netlink.Route) string {
	var names []string
	for name, set := range map[string]bool{
		"type of service":     r.Tos != 0,
		"congestion control":  r.Congctl != "",
		"locked MTU":          r.MTULock,
		"initial window":      r.InitCwnd != 0 || r.InitRwnd != 0,
		"window":              r.Window != 0,
		"hop limit":           r.Hoplimit != 0,
		"realm":               r.Realm != 0,
		"retransmission time": r.RtoMin != 0 || r.Rtt != 0 || r.RttVar != 0,
	} {
		if set {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// describe names a route as ip-route(8) would.
func describe(r netlink.Route) string {
	dst := "default"
	if p, ok := prefix(r.Dst); ok && p.Bits() > 0 {
		dst = p.String()
	}
	if r.Gw != nil {
		dst += " via " + r.Gw.String()
	}
	return dst
}

// rules names policy rules, which the guest does not get.
func (s *scan) rules() error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, err := s.ns.RuleList(family)
		if err != nil {
			return fmt.Errorf("list the policy rules: %w", err)
		}
		for _, r := range list {
			switch r.Priority {
			case ruleLocal, ruleMain, ruleDefault, -1: // -1: the attribute is absent, as for 0
				continue
			}
			s.note("policy rule %d (%s) does not exist in the guest", r.Priority, r.String())
		}
	}
	return nil
}

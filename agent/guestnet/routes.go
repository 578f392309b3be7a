// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/typespb"
)

// UpdateRoutes makes the routes of the main table those of the request: it adds
// them, and takes away those of the request before that are not in this one.
// Routes that others made stay. A route whose gateway needs another one comes
// after it, whatever the order of the request: routes without gateway first, then
// those to networks, then the default ones. A route that is there already is
// replaced.
func (n *Network) UpdateRoutes(in []*typespb.Route) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var routes []*netlink.Route
	for _, r := range in {
		route, err := n.route(r)
		if err != nil {
			return err
		}
		routes = append(routes, route)
	}
	slices.SortStableFunc(routes, func(a, b *netlink.Route) int { return rank(a) - rank(b) })
	for _, r := range routes {
		if err := n.nl().RouteReplace(r); err != nil {
			return fmt.Errorf("add the route %s: %w", r, err)
		}
	}
	before := n.routes
	n.routes, n.asked.routes = routes, in
	return n.removeRoutes(before, routes)
}

// removeRoutes takes away what is not kept. A route that is not there any more,
// since its link has gone, is no error.
func (n *Network) removeRoutes(routes, kept []*netlink.Route) error {
	for _, r := range routes {
		same := func(k *netlink.Route) bool { return k.Family == r.Family && destination(k) == destination(r) }
		if slices.ContainsFunc(kept, same) {
			continue
		}
		if err := n.nl().RouteDel(r); err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("remove the route %s: %w", r, err)
		}
	}
	return nil
}

// destination is that of a route as text, by which the kernel tells routes of the
// metric 0 apart.
func destination(r *netlink.Route) string {
	if r.Dst == nil {
		return ""
	}
	return r.Dst.String()
}

func rank(r *netlink.Route) int {
	switch {
	case r.Gw == nil:
		return 0
	case r.Dst != nil:
		return 1
	default:
		return 2
	}
}

// route reads a route of the wire. An IPv6 one with a source that the kernel
// would still be checking is not delayed: the addresses skip the check.
func (n *Network) route(r *typespb.Route) (*netlink.Route, error) {
	out := &netlink.Route{
		Family: family(r.Family), Scope: netlink.Scope(r.Scope), Flags: int(r.Flags), MTU: int(r.Mtu),
		Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_BOOT,
	}
	var err error
	if out.Dst, err = parseDestination(r.Dest); err != nil {
		return nil, err
	}
	if out.Gw, err = parseIP("gateway", r.Gateway); err != nil {
		return nil, err
	}
	if out.Src, err = parseIP("source", r.Source); err != nil {
		return nil, err
	}
	if r.Device != "" {
		link, err := n.byName(r.Device)
		if err != nil {
			return nil, fmt.Errorf("the route to %q: %w", r.Dest, err)
		}
		out.LinkIndex = link.Attrs().Index
	}
	if out.Gw == nil && out.LinkIndex == 0 {
		return nil, fmt.Errorf("the route to %q has neither gateway nor device: %w", r.Dest, errdefs.ErrInvalidArgument)
	}
	return out, nil
}

// parseDestination reads a network or a single address; none, and networks of
// no bits, are the default route, nil.
func parseDestination(text string) (*net.IPNet, error) {
	if text == "" || text == "default" {
		return nil, nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		ip, ipErr := netip.ParseAddr(text)
		if ipErr != nil {
			return nil, fmt.Errorf("the destination %q: %w: %w", text, errors.Join(err, ipErr), errdefs.ErrInvalidArgument)
		}
		p = netip.PrefixFrom(ip, ip.BitLen())
	}
	if p.Bits() == 0 {
		return nil, nil
	}
	p = p.Masked()
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}, nil
}

// ListRoutes returns the routes of the main table that the kernel did not make
// by itself for addresses.
func (n *Network) ListRoutes() ([]*typespb.Route, error) {
	names, err := n.linkNames()
	if err != nil {
		return nil, err
	}
	var out []*typespb.Route
	for _, f := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		filter := &netlink.Route{Table: unix.RT_TABLE_MAIN}
		routes, err := n.nl().RouteListFiltered(f, filter, netlink.RT_FILTER_TABLE)
		if err != nil {
			return nil, fmt.Errorf("list the routes: %w", err)
		}
		for _, r := range routes {
			if r.Protocol != unix.RTPROT_KERNEL {
				out = append(out, wireRoute(&r, f, names))
			}
		}
	}
	return out, nil
}

func (n *Network) linkNames() (map[int]string, error) {
	links, err := n.nl().LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the links: %w", err)
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	return names, nil
}

// wireRoute writes a route; the default one has no destination.
func wireRoute(r *netlink.Route, f int, names map[int]string) *typespb.Route {
	out := &typespb.Route{Device: names[r.LinkIndex], Scope: uint32(r.Scope), Flags: uint32(r.Flags), Mtu: uint32(r.MTU)}
	if f == netlink.FAMILY_V6 {
		out.Family = typespb.IPFamily_v6
	}
	if bits, _ := mask(r.Dst).Size(); r.Dst != nil && bits > 0 {
		out.Dest = r.Dst.String()
	}
	if r.Gw != nil {
		out.Gateway = r.Gw.String()
	}
	if r.Src != nil {
		out.Source = r.Src.String()
	}
	return out
}

func mask(n *net.IPNet) net.IPMask {
	if n == nil {
		return nil
	}
	return n.Mask
}

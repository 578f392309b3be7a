// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"fmt"
	"net"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"

	"github.com/katapod/katapod/protocols/typespb"
)

// AddNeighbors adds entries to the neighbour table, permanent ones unless they
// say otherwise. Those that are there already are replaced.
func (n *Network) AddNeighbors(in []*typespb.ARPNeighbor) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range in {
		neigh, err := n.neighbor(e)
		if err != nil {
			return err
		}
		if err := n.nl().NeighSet(neigh); err != nil {
			return fmt.Errorf("add the neighbour %s at %s on %s: %w", neigh.IP, neigh.HardwareAddr, e.Device, err)
		}
	}
	n.asked.neighbors = append(n.asked.neighbors, in...)
	return nil
}

func (n *Network) neighbor(e *typespb.ARPNeighbor) (*netlink.Neigh, error) {
	ip, err := parseIP("neighbour", e.GetToIPAddress().GetAddress())
	if err != nil {
		return nil, err
	}
	if ip == nil {
		return nil, fmt.Errorf("a neighbour on %q has no address: %w", e.Device, errdefs.ErrInvalidArgument)
	}
	out := &netlink.Neigh{Family: familyOf(ip), IP: ip, State: int(e.State), Flags: int(e.Flags)}
	if out.State == 0 {
		out.State = netlink.NUD_PERMANENT
	}
	if e.Lladdr != "" {
		if out.HardwareAddr, err = net.ParseMAC(e.Lladdr); err != nil {
			return nil, fmt.Errorf("the neighbour %s: %w: %w", ip, err, errdefs.ErrInvalidArgument)
		}
	}
	link, err := n.byName(e.Device)
	if err != nil {
		return nil, fmt.Errorf("the neighbour %s: %w", ip, err)
	}
	out.LinkIndex = link.Attrs().Index
	return out, nil
}

func familyOf(ip net.IP) int {
	if ip.To4() == nil {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}

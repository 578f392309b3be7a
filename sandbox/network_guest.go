// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"net/netip"
	"reflect"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/protocols/typespb"
	"github.com/katapod/katapod/protocols/unread"
)

// describeNetwork tells the guest of links, and of routes and neighbours unless
// it knows them already.
func (s *Sandbox) describeNetwork(ctx context.Context, links []link, state network.State) error {
	agent := s.guest()
	for _, l := range links {
		_, err := ask(ctx, agent, "configure interface "+l.endpoint.Name+" in the guest", timeouts.Request,
			agent.service.UpdateInterface, &agentpb.UpdateInterfaceRequest{Interface: l.toGuest()})
		if err != nil {
			return err
		}
	}
	known := &s.network
	if len(state.Routes) > 0 && len(links) > 0 || !slices.Equal(known.routes, state.Routes) {
		_, err := ask(unread.Mark(ctx), agent, "set the guest's routes", timeouts.Request, agent.service.UpdateRoutes,
			&agentpb.UpdateRoutesRequest{Routes: routesToGuest(state.Routes)})
		if err != nil {
			return err
		}
		known.routes = state.Routes
	}
	if len(state.Neighbors) > 0 && (len(links) > 0 || !reflect.DeepEqual(known.neighbors, state.Neighbors)) {
		_, err := ask(ctx, agent, "set the guest's neighbours", timeouts.Request, agent.service.AddARPNeighbors,
			&agentpb.AddARPNeighborsRequest{Neighbors: neighborsToGuest(state.Neighbors)})
		if err != nil {
			return err
		}
		known.neighbors = state.Neighbors
	}
	return nil
}

// toGuest describes a link; the guest finds it by its MAC address, or by its
// place when it was plugged later and may not be there yet.
func (l link) toGuest() *typespb.Interface {
	ep := l.endpoint
	i := &typespb.Interface{
		Device: ep.Name, Name: ep.Name, Type: ep.Kind, HwAddr: ep.MAC.String(),
		Mtu: uint64(ep.MTU), DevicePath: string(l.path),
	}
	if ep.NoARP {
		i.RawFlags = unix.IFF_NOARP
	}
	for _, prefix := range ep.Addresses {
		i.IPAddresses = append(i.IPAddresses, addressToGuest(prefix.Addr(), strconv.Itoa(prefix.Bits())))
	}
	return i
}

func addressToGuest(a netip.Addr, mask string) *typespb.IPAddress {
	return &typespb.IPAddress{Family: familyOf(a.Is4()), Address: a.String(), Mask: mask}
}

func familyOf(is4 bool) typespb.IPFamily {
	if is4 {
		return typespb.IPFamily_v4
	}
	return typespb.IPFamily_v6
}

// routesToGuest leaves the destination of a default route empty, as the agent
// protocol has it.
func routesToGuest(routes []network.Route) *agentpb.Routes {
	list := &agentpb.Routes{}
	for _, r := range routes {
		guest := &typespb.Route{
			Device: r.Device, Family: familyOf(r.Family == unix.AF_INET),
			Scope: uint32(r.Scope), Flags: uint32(r.Flags), Mtu: uint32(r.MTU),
		}
		if r.Destination.IsValid() && r.Destination.Bits() > 0 {
			guest.Dest = r.Destination.String()
		}
		if r.Gateway.IsValid() {
			guest.Gateway = r.Gateway.String()
		}
		if r.Source.IsValid() {
			guest.Source = r.Source.String()
		}
		list.Routes = append(list.Routes, guest)
	}
	return list
}

func neighborsToGuest(neighbors []network.Neighbor) *agentpb.ARPNeighbors {
	list := &agentpb.ARPNeighbors{}
	for _, n := range neighbors {
		list.ARPNeighbors = append(list.ARPNeighbors, &typespb.ARPNeighbor{
			ToIPAddress: addressToGuest(n.Address, ""), Device: n.Device, Lladdr: n.MAC.String(),
			State: int32(n.State), Flags: int32(n.Flags),
		})
	}
	return list
}

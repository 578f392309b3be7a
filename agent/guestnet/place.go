// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/agent/thread"
	"github.com/katapod/katapod/protocols/typespb"
)

// place is a network namespace. ns is only set for one that is not the agent's.
type place struct {
	nl *netlink.Handle
	ns netns.NsHandle
	// other tells that ns is set.
	other bool
}

// asked are the requests so far, to be answered again in another namespace.
type asked struct {
	interfaces []*typespb.Interface
	routes     []*typespb.Route
	neighbors  []*typespb.ARPNeighbor
}

// Enter moves the pod's network to another network namespace, and sets it up
// there as it was asked for; later requests are for that one. What else is in
// it stays as it is, but for the loopback, which is brought up.
func (n *Network) Enter(ctx context.Context, path string) error {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return fmt.Errorf("open the pod's network namespace %s: %w", path, err)
	}
	nl, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return errors.Join(fmt.Errorf("open netlink in the pod's network namespace: %w", err), ns.Close())
	}
	loopback, err := nl.LinkByName("lo")
	if err == nil {
		err = nl.LinkSetUp(loopback)
	}
	if err != nil {
		nl.Close()
		return errors.Join(fmt.Errorf("bring up the loopback of the pod's network namespace: %w", err), ns.Close())
	}
	n.mu.Lock()
	again := n.asked
	n.asked, n.routes = asked{}, nil
	n.place.Store(&place{nl: nl, ns: ns, other: true})
	n.mu.Unlock()
	return n.repeat(ctx, again)
}

// Close gives back what the network holds; nothing may use it any more. The agent's
// own is never closed: it ends with the guest.
func (n *Network) Close() error {
	n.home.Close()
	p := n.place.Load()
	if !p.other {
		return nil
	}
	p.nl.Close()
	if err := p.ns.Close(); err != nil {
		return fmt.Errorf("close the pod's network namespace: %w", err)
	}
	return nil
}

func (n *Network) repeat(ctx context.Context, again asked) error {
	for _, i := range again.interfaces {
		if err := n.UpdateInterface(ctx, i); err != nil {
			return fmt.Errorf("move %s to the pod's network namespace: %w", i.Name, err)
		}
	}
	if err := n.UpdateRoutes(again.routes); err != nil {
		return err
	}
	return n.AddNeighbors(again.neighbors)
}

// Run calls f in the network namespace of the pod's network.
func (n *Network) Run(f func() error) error {
	p := n.place.Load()
	if !p.other {
		return f()
	}
	return thread.Run(func() error {
		if err := netns.Set(p.ns); err != nil {
			return fmt.Errorf("enter the pod's network namespace: %w", err)
		}
		return f()
	})
}

// fetch brings a link of the agent's namespace to that of the pod's network.
func (n *Network) fetch(link netlink.Link) (netlink.Link, error) {
	p := n.place.Load()
	if !p.other {
		return link, nil
	}
	name := link.Attrs().Name
	if err := n.home.LinkSetNsFd(link, int(p.ns)); err != nil {
		return nil, fmt.Errorf("move the link %s to the pod's network namespace: %w", name, err)
	}
	moved, err := p.nl.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find the link %s in the pod's network namespace: %w", name, err)
	}
	return moved, nil
}

// rememberInterface keeps the last request for each interface. The caller holds
// n.mu.
func (n *Network) rememberInterface(i *typespb.Interface) {
	same := func(other *typespb.Interface) bool {
		return other.HwAddr == i.HwAddr && (i.HwAddr != "" || other.DevicePath == i.DevicePath)
	}
	n.asked.interfaces = append(slices.DeleteFunc(n.asked.interfaces, same), proto.Clone(i).(*typespb.Interface))
}

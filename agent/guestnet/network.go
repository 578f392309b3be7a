// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/device"
	"github.com/katapod/katapod/protocols/typespb"
)

// Network sets the network up. Make it with [New].
type Network struct {
	// home is the network namespace of the agent, where devices appear, and
	// place the one that they are in when they are set up.
	home  *netlink.Handle
	place atomic.Pointer[place]
	hub   *device.Hub
	// link finds the link at a PCI path.
	link    func(context.Context, device.PCIPath) (string, error)
	timeout time.Duration
	// mu orders changes of links: a rename may move another link away.
	mu sync.Mutex
	// routes are those of the last request.
	routes []*netlink.Route
	asked  asked
}

// nl is netlink in the namespace of the pod's network.
func (n *Network) nl() *netlink.Handle { return n.place.Load().nl }

// New returns the network of the calling thread's network namespace.
func New(finder *device.Finder) (*Network, error) {
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	n := &Network{home: nl, hub: finder.Hub, link: finder.Link, timeout: finder.Timeout}
	n.place.Store(&place{nl: nl})
	return n, nil
}

// find waits for the link that an interface of the wire describes: by its place
// when it has one, else by its MAC.
func (n *Network) find(ctx context.Context, i *typespb.Interface) (netlink.Link, error) {
	mac, err := net.ParseMAC(i.HwAddr)
	if i.DevicePath != "" {
		if n.place.Load().other && err == nil {
			// The agent's /sys shows the path of a link no more that has moved.
			if link, missing := n.findByMAC(mac); missing == nil {
				return link, nil
			}
		}
		return n.findByPath(ctx, i.DevicePath)
	}
	if err != nil {
		return nil, fmt.Errorf("interface %s has neither a device path nor a MAC (%q): %w", i.Name, i.HwAddr, errdefs.ErrInvalidArgument)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, n.timeout,
		fmt.Errorf("%s without it, see agent.hotplug_timeout: %w", n.timeout, context.DeadlineExceeded))
	defer cancel()
	return device.Await(ctx, n.hub, func() (netlink.Link, error) { return n.findByMAC(mac) })
}

func (n *Network) findByPath(ctx context.Context, text string) (netlink.Link, error) {
	p, err := device.ParsePCIPath(text)
	if err != nil {
		return nil, err
	}
	name, err := n.link(ctx, p)
	if err != nil {
		return nil, err
	}
	link, err := n.home.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find the link %s at PCI path %s: %w", name, text, err)
	}
	return n.fetch(link)
}

func (n *Network) findByMAC(mac net.HardwareAddr) (netlink.Link, error) {
	link, err := linkOf(n.nl(), mac)
	if link != nil || err != nil {
		return link, err
	}
	if link, err = linkOf(n.home, mac); link != nil {
		return n.fetch(link)
	}
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("no link has the MAC %s: %w", mac, unix.ENOENT)
}

// linkOf looks for a MAC in one namespace; nil is none.
func linkOf(nl *netlink.Handle, mac net.HardwareAddr) (netlink.Link, error) {
	links, err := nl.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the links: %w", err)
	}
	for _, l := range links {
		if len(mac) > 0 && strings.EqualFold(l.Attrs().HardwareAddr.String(), mac.String()) {
			return l, nil
		}
	}
	return nil, nil
}

// byName returns a link that a request names.
func (n *Network) byName(name string) (netlink.Link, error) {
	link, err := n.nl().LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil, fmt.Errorf("no link is named %q: %w", name, errdefs.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("find the link %s: %w", name, err)
	}
	return link, nil
}

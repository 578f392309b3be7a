// SPDX-License-Identifier: Apache-2.0

package network

import (
	"net"
	"net/netip"
)

// State is what a network namespace holds, apart from its loopback device.
type State struct {
	Endpoints []Endpoint
	Routes    []Route
	Neighbors []Neighbor
	// Taps are those that Connect made, under their usual names: the namespace is
	// joined to a VM. Empty when there is none.
	Taps []string
	// Notes name, a sentence each, what the namespace holds and a guest can't
	// be told of: policy rules, multipath routes, other routing tables. They
	// are for the log.
	Notes []string
}

// Endpoint is one interface that a guest is to have.
type Endpoint struct {
	// Index and Name are those of the link in its namespace.
	Index int
	Name  string
	// Kind is the kernel's link kind: "veth", "macvlan", "ipvlan", "tun", ...
	Kind string
	MAC  net.HardwareAddr
	MTU  int
	// NoARP reports IFF_NOARP.
	NoARP bool
	// Addresses are all IPv4 and IPv6 addresses but link-local IPv6 ones that
	// the kernel made by itself.
	Addresses []netip.Prefix
}

// Route is one route of the main table that the kernel did not make by itself.
// The zero Addr means absent; a zero Destination prefix is the default route of
// its Family.
type Route struct {
	// Family is unix.AF_INET or unix.AF_INET6.
	Family      int
	Destination netip.Prefix
	Gateway     netip.Addr
	Source      netip.Addr
	// Device is the name of the outgoing link.
	Device string
	// Scope, Flags (RTNH_F_*), MTU, AdvMSS and Metric as rtnetlink(7) has them.
	Scope, Flags, MTU, AdvMSS, Metric int
}

// Neighbor is one permanent entry of the neighbour table, or the resolved
// address of a gateway.
type Neighbor struct {
	Address netip.Addr
	MAC     net.HardwareAddr
	Device  string
	// State and Flags are NUD_* and NTF_* of rtnetlink(7).
	State, Flags int
}

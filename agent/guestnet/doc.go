// SPDX-License-Identifier: Apache-2.0

// Package guestnet sets the guest's network up as the host describes it, by
// netlink: links found by MAC or by place on the PCI bus, their addresses,
// routes and neighbours, and packet filter rules by the iptables tools.
package guestnet

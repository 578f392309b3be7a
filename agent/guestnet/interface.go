// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"context"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/typespb"
)

// UpdateInterface makes a link what the interface describes: its MAC, name,
// MTU, ARP flag and addresses, and brings it up. Addresses that the interface
// does not have go, but for link-local IPv6 ones, which are the kernel's.
func (n *Network) UpdateInterface(ctx context.Context, i *typespb.Interface) error {
	addresses, err := addresses(i.IPAddresses)
	if err != nil {
		return err
	}
	link, err := n.find(ctx, i)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.identify(link, i); err != nil {
		return err
	}
	if i.Mtu > 0 && int(i.Mtu) != link.Attrs().MTU {
		if err := n.nl().LinkSetMTU(link, int(i.Mtu)); err != nil {
			return fmt.Errorf("set the MTU of %s to %d: %w", i.Name, i.Mtu, err)
		}
	}
	if i.RawFlags&unix.IFF_NOARP != 0 {
		if err := n.nl().LinkSetARPOff(link); err != nil {
			return fmt.Errorf("turn ARP off on %s: %w", i.Name, err)
		}
	}
	if err := n.setAddresses(link, addresses); err != nil {
		return err
	}
	if err := n.nl().LinkSetUp(link); err != nil {
		return fmt.Errorf("bring %s up: %w", i.Name, err)
	}
	n.rememberInterface(i)
	return nil
}

// identify gives the link its MAC and name. Both can be changed only while the
// link is down.
func (n *Network) identify(link netlink.Link, i *typespb.Interface) error {
	mac, err := net.ParseMAC(i.HwAddr)
	if i.HwAddr != "" && err != nil {
		return fmt.Errorf("set the MAC of %s: %w", i.Name, err)
	}
	newMAC := len(mac) > 0 && link.Attrs().HardwareAddr.String() != mac.String()
	newName := i.Name != "" && link.Attrs().Name != i.Name
	if !newMAC && !newName {
		return nil
	}
	if err := n.nl().LinkSetDown(link); err != nil {
		return fmt.Errorf("bring %s down to change it: %w", link.Attrs().Name, err)
	}
	if newMAC {
		if err := n.nl().LinkSetHardwareAddr(link, mac); err != nil {
			return fmt.Errorf("set the MAC of %s to %s: %w", link.Attrs().Name, mac, err)
		}
	}
	if newName {
		return n.rename(link, i.Name)
	}
	return nil
}

// rename names a link, moving another link that has the name out of the way.
func (n *Network) rename(link netlink.Link, name string) error {
	if other, err := n.nl().LinkByName(name); err == nil {
		// The index makes the name unique; 15 characters are the limit.
		away := fmt.Sprintf("kp%d", other.Attrs().Index)
		if err := n.nl().LinkSetDown(other); err != nil {
			return fmt.Errorf("bring %s down to free its name: %w", name, err)
		}
		if err := n.nl().LinkSetName(other, away); err != nil {
			return fmt.Errorf("free the name %s: %w", name, err)
		}
	}
	if err := n.nl().LinkSetName(link, name); err != nil {
		return fmt.Errorf("rename %s to %s: %w", link.Attrs().Name, name, err)
	}
	return nil
}

func (n *Network) setAddresses(link netlink.Link, wanted []*netlink.Addr) error {
	have, err := n.nl().AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list the addresses of %s: %w", link.Attrs().Name, err)
	}
	for _, a := range have {
		if !contains(wanted, a) && !a.IP.IsLinkLocalUnicast() {
			if err := n.nl().AddrDel(link, &a); err != nil {
				return fmt.Errorf("remove the address %s: %w", a.IPNet, err)
			}
		}
	}
	for _, a := range wanted {
		if err := n.nl().AddrReplace(link, a); err != nil {
			return fmt.Errorf("add the address %s: %w", a.IPNet, err)
		}
	}
	return nil
}

func contains(list []*netlink.Addr, a netlink.Addr) bool {
	for _, b := range list {
		if a.IPNet.String() == b.IPNet.String() {
			return true
		}
	}
	return false
}

// ListInterfaces returns every link but the loopback device.
func (n *Network) ListInterfaces() ([]*typespb.Interface, error) {
	links, err := n.nl().LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the links: %w", err)
	}
	var out []*typespb.Interface
	for _, l := range links {
		a := l.Attrs()
		if a.Flags&net.FlagLoopback != 0 {
			continue
		}
		i := &typespb.Interface{
			Device: a.Name, Name: a.Name, Mtu: uint64(a.MTU), HwAddr: a.HardwareAddr.String(),
			Type: l.Type(), RawFlags: a.RawFlags,
		}
		list, err := n.nl().AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			return nil, fmt.Errorf("list the addresses of %s: %w", a.Name, err)
		}
		for _, addr := range list {
			i.IPAddresses = append(i.IPAddresses, wireAddress(addr.IPNet))
		}
		out = append(out, i)
	}
	return out, nil
}

// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
)

// Link kinds, as the kernel names them in IFLA_INFO_KIND.
const (
	kindVeth    = "veth"
	kindMacvlan = "macvlan"
	kindIPVlan  = "ipvlan"
	kindTun     = "tun" // TUN and TAP devices
	kindTuntap  = "tuntap"
)

// joins reports the kinds made to join a namespace to a network of others.
// Their frames pass the ingress hook, and redirection can send by them.
func joins(kind string) bool {
	return kind == kindVeth || kind == kindMacvlan || kind == kindIPVlan
}

// instead says what to do about a kind that can't be joined to a TAP.
func instead(kind string) string {
	switch kind {
	case "device":
		return "a physical or virtual function belongs to VFIO; give the pod a veth, or a macvlan on top of it"
	case "dummy":
		return "a dummy device leads nowhere; give the pod a veth"
	case "bridge":
		return "a bridge in the pod has no frames of its own to hand on; give the pod one of its ports"
	case "vlan":
		return "let the CNI plugin tag outside of the pod, and give the pod a veth or macvlan"
	case "bond":
		return "bond outside of the pod, and give the pod a veth or macvlan"
	case "netkit":
		return "set the CNI plugin to its veth mode"
	case "macvtap", "ipvtap":
		return "give the pod a macvlan or ipvlan; the TAP is made here"
	default:
		return "give the pod a veth, macvlan, ipvlan or TAP"
	}
}

// connectable says why a link can't be joined to a TAP; nil when it can.
func connectable(l netlink.Link) error {
	kind := l.Type()
	if joins(kind) {
		return nil
	}
	hint := instead(kind)
	if t, ok := l.(*netlink.Tuntap); ok {
		if t.Mode == netlink.TUNTAP_MODE_TAP {
			return nil
		}
		hint = "a TUN device carries no Ethernet frames; give the pod a TAP or a veth"
	}
	return fmt.Errorf("a link of kind %q can't be joined to a VM: %s: %w",
		kind, hint, errdefs.ErrNotImplemented)
}

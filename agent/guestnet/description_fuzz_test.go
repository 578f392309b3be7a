// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"testing"

	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/typespb"
)

// FuzzDescriptions reads any interface, routes and neighbours as far as that needs no
// link: they are refused as invalid, or are of the form that the kernel takes.
func FuzzDescriptions(f *testing.F) {
	encode := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	f.Add(
		encode(&typespb.Interface{Name: "eth0", HwAddr: "02:00:00:00:00:01", IPAddresses: []*typespb.IPAddress{
			{Address: "10.88.0.2", Mask: "16"}, {Family: typespb.IPFamily_v6, Address: "fd00:88::2", Mask: "64"},
		}}),
		encode(&agentpb.Routes{Routes: []*typespb.Route{{Gateway: "10.88.0.1"}, {Dest: "10.0.0.0/8", Gateway: "10.88.0.1", Scope: 253}}}),
		encode(&agentpb.ARPNeighbors{ARPNeighbors: []*typespb.ARPNeighbor{{ToIPAddress: &typespb.IPAddress{Address: "10.88.0.1"}, Lladdr: "02:00:00:00:00:02"}}}),
	)
	f.Add(
		encode(&typespb.Interface{IPAddresses: []*typespb.IPAddress{{Address: "::ffff:1.2.3.4%eth0", Mask: "129"}, {Mask: "-1"}}}),
		encode(&agentpb.Routes{Routes: []*typespb.Route{{Dest: "::/0", Gateway: "x"}, {Dest: "fe80::1%9/64", Gateway: "::"}}}),
		encode(&agentpb.ARPNeighbors{ARPNeighbors: []*typespb.ARPNeighbor{{}, {ToIPAddress: &typespb.IPAddress{Address: "::1"}, Lladdr: "zz"}}}),
	)
	f.Fuzz(func(t *testing.T, link, routes, neighbors []byte) {
		var i typespb.Interface
		var rs agentpb.Routes
		var ns agentpb.ARPNeighbors
		if proto.Unmarshal(link, &i) != nil || proto.Unmarshal(routes, &rs) != nil || proto.Unmarshal(neighbors, &ns) != nil {
			return
		}
		invalid := func(err error) bool {
			if err != nil && !errdefs.IsInvalidArgument(err) {
				t.Fatalf("the error has no sentinel: %v", err)
			}
			return err != nil
		}
		if list, err := addresses(i.IPAddresses); !invalid(err) {
			for _, a := range list {
				if ones, bits := a.Mask.Size(); ones > bits || bits != 8*len(a.IP) {
					t.Fatalf("address %v", a)
				}
			}
		}
		n := &Network{} // reads no link
		for _, r := range rs.Routes {
			r.Device = ""
			if out, err := n.route(r); !invalid(err) && out.Gw == nil {
				t.Fatalf("%v leads nowhere", out)
			}
		}
		for _, e := range ns.ARPNeighbors {
			ip, err := parseIP("neighbour", e.GetToIPAddress().GetAddress())
			if !invalid(err) && ip != nil && len(ip) != 4 && len(ip) != 16 {
				t.Fatalf("neighbour %v", ip)
			}
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"fmt"
	"net"

	"github.com/katapod/katapod/protocols/agentpb"
)

// Stats returns the counters of every link but the loopback.
func (n *Network) Stats() ([]*agentpb.NetworkStats, error) {
	links, err := n.nl().LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the links: %w", err)
	}
	var out []*agentpb.NetworkStats
	for _, l := range links {
		a := l.Attrs()
		if s := a.Statistics; s != nil && a.Flags&net.FlagLoopback == 0 {
			out = append(out, &agentpb.NetworkStats{
				Name: a.Name, RxBytes: s.RxBytes, RxPackets: s.RxPackets, RxErrors: s.RxErrors, RxDropped: s.RxDropped,
				TxBytes: s.TxBytes, TxPackets: s.TxPackets, TxErrors: s.TxErrors, TxDropped: s.TxDropped,
			})
		}
	}
	return out, nil
}

// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// Dial connects to an address from within the namespace bound to nsPath, "udp" or
// "tcp". The error is ErrNotFound when nsPath is no namespace.
func Dial(ctx context.Context, nsPath, transport string, to netip.AddrPort) (net.Conn, error) {
	ns, err := open(nsPath)
	if err != nil {
		return nil, err
	}
	defer ns.close()
	var conn net.Conn
	var dialer net.Dialer
	dialer.SetMultipathTCP(false)
	err = ns.enter(func() (err error) {
		// An address needs no resolver and one family, so all of it is done on this
		// thread.
		conn, err = dialer.DialContext(ctx, transport, to.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connect to %s from network namespace %s: %w", to, nsPath, err)
	}
	return conn, nil
}

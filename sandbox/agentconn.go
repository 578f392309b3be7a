// SPDX-License-Identifier: Apache-2.0

package sandbox

import "net"

// agentConn tells of the connection's end before anybody who uses it can act on
// it, so that a process whose wait broke off is known to be dead already.
type agentConn struct {
	net.Conn
	lost func(error)
}

// Read implements [net.Conn].
func (c agentConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.lost(err)
	}
	return n, err
}

// Write implements [net.Conn].
func (c agentConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.lost(err)
	}
	return n, err
}

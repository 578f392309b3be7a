// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"net"
)

// Ports of the agent inside the guest, as the wire contract numbers them.
const (
	// PortAgent serves grpc.AgentService and grpc.Health over ttrpc.
	PortAgent uint32 = 1024
	// PortLog streams the agent's log.
	PortLog uint32 = 1025
	// PortConsole is the debug console, when it is enabled.
	PortConsole uint32 = 1026
	// PortStdio takes the standard streams of processes, see package stdio.
	PortStdio uint32 = 1027
	// PortForward leads to TCP ports of the guest, see package forward.
	PortForward uint32 = 1028
	// PortNames takes questions to name servers, see package names.
	PortNames uint32 = 1029
)

// Dialer reaches a port inside one guest. It is safe for concurrent use.
type Dialer interface {
	// Dial returns a stream to the guest port. It waits until the guest
	// listens or ctx ends; it never waits for longer than ctx. The caller owns
	// the connection. A connection has CloseWrite when the carrier can close
	// one direction only.
	Dial(ctx context.Context, port uint32) (net.Conn, error)
	// Close releases what the carrier holds; streams already dialled break.
	Close() error
}

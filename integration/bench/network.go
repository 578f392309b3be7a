// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/katapod/katapod/integration/node"
)

const (
	netStream = "network, pod to host: TCP stream"
	netAsk    = "network, pod to host: request and response"
)

// network sends to servers on the node, over the pod's interface and the node's bridge.
func network(ctx context.Context, b *bench) error {
	sink, err := b.serve(ctx, "5201", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	if err != nil {
		return err
	}
	defer sink.Close()
	echo, err := b.serve(ctx, "5202", func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
	if err != nil {
		return err
	}
	defer echo.Close()
	for range max(1, b.runs/3) {
		err := b.inPod(ctx, waiting(nil, nil), func(s side, p pod) error {
			rate, err := b.numbers(ctx, p, 1, "load", "send", sink.Addr().String(), fmt.Sprint(512<<20))
			if err != nil {
				return err
			}
			s.samples.add(netStream, rate[0])
			each, err := b.numbers(ctx, p, 1, "load", "ask", echo.Addr().String(), "5000")
			if err != nil {
				return err
			}
			s.samples.add(netAsk, each[0])
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// serve hands each connection to a port of the node to handle, and closes it afterwards. What goes wrong with a
// connection is for the other end to say.
func (b *bench) serve(ctx context.Context, port string, handle func(net.Conn)) (net.Listener, error) {
	listener, err := b.node.Listen(ctx, net.JoinHostPort(node.AddressV4, port))
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
	return listener, nil
}

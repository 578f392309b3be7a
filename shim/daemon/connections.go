// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"net"
	"sync"

	"github.com/containerd/ttrpc"
)

// connections counts the connections that engines hold, so that a leaving shim
// closes none before the answer to its last call was read: containerd's sandbox
// controller takes a connection that ends first for a failed ShutdownSandbox.
// ttrpc's own Shutdown would not do, since it takes a connection for idle while
// its first call runs.
type connections struct {
	handshaker ttrpc.Handshaker

	// mu guards what follows.
	mu      sync.Mutex
	open    int
	changed chan struct{} // closed and replaced when one is closed
}

func newConnections(h ttrpc.Handshaker) *connections {
	return &connections{handshaker: h, changed: make(chan struct{})}
}

// Handshake lets in whom the other handshaker does; see ttrpc.Handshaker.
func (c *connections) Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
	conn, info, err := c.handshaker.Handshake(ctx, conn)
	if err != nil {
		return conn, info, err
	}
	c.mu.Lock()
	c.open++
	c.mu.Unlock()
	return &counted{Conn: conn, done: sync.OnceFunc(c.closed)}, info, nil
}

func (c *connections) closed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	close(c.changed)
	c.changed = make(chan struct{})
}

// wait returns when the engines have closed every connection, or when ctx ends.
func (c *connections) wait(ctx context.Context) {
	for {
		c.mu.Lock()
		open, changed := c.open, c.changed
		c.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// counted is a connection that tells of its end.
type counted struct {
	net.Conn
	done func()
}

// Close ends the connection.
func (c *counted) Close() error {
	defer c.done()
	return c.Conn.Close()
}

// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

const (
	// MaxAnswer is the longest answer of an agent that is taken, in bytes. The
	// longest honest one, the guest's metrics as text, has some 30 KiB.
	MaxAnswer = 256 << 10
	// MaxRequests is how many requests may be without an answer. Each process
	// waits with one, and a call that timed out leaves one.
	MaxRequests = 1 << 16
)

// ErrHostile is wrapped by every error about a guest that broke the protocol.
var ErrHostile = errors.New("the guest does not keep to the protocol")

// Conn is the host's end of a ttrpc connection, for a client that makes unary calls.
type Conn struct {
	net.Conn
	in, out frames

	// mu guards what follows.
	mu    sync.Mutex
	asked map[uint32]struct{} // requests without an answer
	wrong error               // what the guest did
}

// New watches conn, which it owns.
func New(conn net.Conn) *Conn {
	return &Conn{Conn: conn, asked: map[uint32]struct{}{}}
}

// Read implements [net.Conn]. After the guest's first wrong frame, of which nothing
// is returned, it fails with [ErrHostile].
func (c *Conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	wrong := c.wrong
	c.mu.Unlock()
	if wrong != nil {
		return 0, wrong
	}
	n, err := c.Conn.Read(p)
	good, wrong := c.in.scan(p[:n], c.answered)
	if wrong == nil {
		return n, err
	}
	c.mu.Lock()
	c.wrong = wrong
	c.mu.Unlock()
	if good > 0 {
		return good, nil
	}
	return 0, wrong
}

// Write implements [net.Conn].
func (c *Conn) Write(p []byte) (int, error) {
	// Noted before it is sent, or the answer could be there first.
	if _, err := c.out.scan(p, c.request); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// request notes a request of the host's.
func (c *Conn) request(f frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.asked) >= MaxRequests {
		return fmt.Errorf("%w: it has not answered %d requests", ErrHostile, len(c.asked))
	}
	c.asked[f.stream] = struct{}{}
	return nil
}

// answered checks a frame of the guest's.
func (c *Conn) answered(f frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch _, asked := c.asked[f.stream]; {
	case f.kind != kindResponse:
		return fmt.Errorf("%w: it sent a ttrpc message of type %d, which is no answer", ErrHostile, f.kind)
	case f.length > MaxAnswer:
		return fmt.Errorf("%w: it sent an answer of %d bytes, more than %d", ErrHostile, f.length, MaxAnswer)
	case !asked:
		return fmt.Errorf("%w: it sent an answer to request %d, which was not made or has been answered", ErrHostile, f.stream)
	}
	delete(c.asked, f.stream)
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"net"
	"sync"
)

// halfCloser is a stream whose two directions end apart.
type halfCloser interface {
	net.Conn
	// CloseWrite ends the direction away from the caller; reads go on.
	CloseWrite() error
}

// tracker knows the open streams of a dialer, so that closing the dialer
// breaks them. The zero value is ready.
type tracker struct {
	// mu guards what follows.
	mu     sync.Mutex
	closed bool
	open   map[*trackedConn]struct{}
}

// trackedConn is a stream that its tracker can break.
type trackedConn struct {
	halfCloser
	owner *tracker
}

// Close implements net.Conn.
func (c *trackedConn) Close() error {
	c.owner.forget(c)
	return c.halfCloser.Close()
}

// add takes over c. It closes c and reports net.ErrClosed when the tracker is
// closed.
func (t *tracker) add(c halfCloser) (net.Conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	if t.open == nil {
		t.open = make(map[*trackedConn]struct{})
	}
	tc := &trackedConn{halfCloser: c, owner: t}
	t.open[tc] = struct{}{}
	return tc, nil
}

func (t *tracker) forget(c *trackedConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, c)
}

func (t *tracker) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// close breaks every stream and refuses new ones.
func (t *tracker) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for c := range t.open {
		_ = c.halfCloser.Close()
	}
	t.open = nil
}

// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"net"
	"sync"
)

// listener is one open port of a guest, fed by every carrier.
type listener struct {
	port    uint32
	streams chan net.Conn
	done    chan struct{} // closed by Close
	once    sync.Once
	release func()
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.streams:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// deliver hands a stream to Accept. It closes the stream when the listener or
// the carrier, whose end is over, is done first.
func (l *listener) deliver(c net.Conn, over <-chan struct{}) {
	select {
	case l.streams <- c:
	case <-l.done:
		_ = c.Close()
	case <-over:
		_ = c.Close()
	}
}

// Close implements net.Listener. Streams already accepted stay.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.release()
		close(l.done)
	})
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return Addr{Port: l.port} }

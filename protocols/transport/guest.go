// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"fmt"
	"net"
	"sync"

	"github.com/containerd/errdefs"
)

// GuestOptions are the choices of a [Guest].
type GuestOptions struct {
	// Report is told of what goes wrong on a carrier and does not end it: a
	// session that was lost, a stream with a bad greeting, a vsock port that
	// can't be bound. It must not block. Nil drops the reports.
	Report func(error)
}

// Guest is the guest's end of every carrier. Listen gives the ports that exist;
// ServeSerial and ServeVsock feed them, in any number and order. It is safe for
// concurrent use.
type Guest struct {
	report func(error)
	// bound is told of each AF_VSOCK port once it listens: tests wait for that.
	bound func(port uint32)

	// mu guards what follows.
	mu       sync.Mutex
	ports    map[uint32]*listener
	watchers map[*watcher]struct{}
}

// watcher is told of every port, those that exist and those to come. It must
// not block.
type watcher struct {
	added func(*listener)
}

// NewGuest returns a guest that listens on no port yet.
func NewGuest(opts GuestOptions) *Guest {
	report := opts.Report
	if report == nil {
		report = func(error) {}
	}
	return &Guest{
		report:   report,
		bound:    func(uint32) {},
		ports:    make(map[uint32]*listener),
		watchers: make(map[*watcher]struct{}),
	}
}

// Listen opens a port of the guest; streams to ports that are not open are
// refused. The caller closes the listener. The error is ErrAlreadyExists for a
// port that is open.
func (g *Guest) Listen(port uint32) (net.Listener, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, taken := g.ports[port]; taken {
		return nil, fmt.Errorf("listen on guest port %d: %w", port, errdefs.ErrAlreadyExists)
	}
	l := &listener{
		port:    port,
		streams: make(chan net.Conn),
		done:    make(chan struct{}),
		release: func() { g.release(port) },
	}
	g.ports[port] = l
	for w := range g.watchers {
		w.added(l)
	}
	return l, nil
}

// lookup returns the listener of a port, or nil.
func (g *Guest) lookup(port uint32) *listener {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ports[port]
}

func (g *Guest) release(port uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.ports, port)
}

// watch calls added for every open port, now and later, until the returned
// function is called.
func (g *Guest) watch(added func(*listener)) (stop func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := &watcher{added: added}
	g.watchers[w] = struct{}{}
	for _, l := range g.ports {
		added(l)
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.watchers, w)
	}
}

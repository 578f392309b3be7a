// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor/internal/life"
)

// Handler serves one connection to a guest port and owns it.
type Handler func(net.Conn)

// guest is the dialer of a fake, and what answers it.
type guest struct {
	cycle *life.Cycle
	ended chan struct{}
	// let is closed when the guest may run.
	let     chan struct{}
	letOnce sync.Once

	// mu guards what follows.
	mu       sync.Mutex
	closed   bool
	handlers map[uint32]Handler
	// changed is closed and replaced when a handler is added.
	changed chan struct{}
	open    []net.Conn
}

func newGuest(cycle *life.Cycle) *guest {
	return &guest{cycle: cycle, ended: make(chan struct{}), let: make(chan struct{}), handlers: map[uint32]Handler{}, changed: make(chan struct{})}
}

// run lets the guest run.
func (g *guest) run() { g.letOnce.Do(func() { close(g.let) }) }

func (g *guest) handle(port uint32, f Handler) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handlers[port] = f
	close(g.changed)
	g.changed = make(chan struct{})
}

// Dial implements transport.Dialer.
func (g *guest) Dial(ctx context.Context, port uint32) (net.Conn, error) {
	for _, event := range []<-chan struct{}{g.cycle.Running(), g.let} {
		if err := g.await(ctx, port, event); err != nil {
			return nil, err
		}
	}
	for {
		g.mu.Lock()
		f, changed := g.handlers[port], g.changed
		g.mu.Unlock()
		if f != nil {
			return g.connect(port, f)
		}
		if err := g.await(ctx, port, changed); err != nil {
			return nil, err
		}
	}
}

func (g *guest) await(ctx context.Context, port uint32, event <-chan struct{}) error {
	select {
	case <-g.ended:
		return gone(port)
	case <-g.cycle.Done():
		return gone(port)
	default:
	}
	select {
	case <-event:
		return nil
	case <-g.ended:
		return gone(port)
	case <-g.cycle.Done():
		return gone(port)
	case <-ctx.Done():
		return fmt.Errorf("reach guest port %d: nobody listens: %w", port, ctx.Err())
	}
}

func gone(port uint32) error {
	return fmt.Errorf("reach guest port %d: the VM has ended: %w", port, errdefs.ErrUnavailable)
}

// connect makes a stream of two unix sockets, whose directions close apart.
func (g *guest) connect(port uint32, f Handler) (net.Conn, error) {
	host, far, err := pair()
	if err != nil {
		return nil, fmt.Errorf("reach guest port %d: %w", port, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, errors.Join(gone(port), host.Close(), far.Close())
	}
	g.open = append(g.open, host, far)
	// It is the handler's, who ends it when the connection ends, which Close sees to.
	go f(far)
	return host, nil
}

// Close implements transport.Dialer.
func (g *guest) Close() error {
	g.end()
	return nil
}

// end breaks all streams and refuses new ones.
func (g *guest) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.closed = true
	close(g.ended)
	for _, c := range g.open {
		_ = c.Close() // Its user may have closed it before.
	}
	g.open = nil
}

func pair() (net.Conn, net.Conn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	var conns [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "fake guest")
		conns[i], err = net.FileConn(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, nil, fmt.Errorf("use a socket pair: %w", err)
		}
	}
	return conns[0], conns[1], nil
}

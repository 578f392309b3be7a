// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"github.com/katapod/katapod/protocols/forward"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/protocols/transport"
)

// Engines forward a port by dialling localhost in the pod's network namespace on
// the host, but what listens there listens in the guest. So the namespace's
// loopback is taken over, and each connection is joined to the guest's. All of
// it ends with this process, so the ledger has nothing to know.

const (
	// maxForwards bounds the connections of one pod at a time, each of which
	// costs some 100 KiB while it is open.
	maxForwards = 128
)

// portForward is the pod's hold on its namespace's loopback.
type portForward struct {
	// mu guards what follows.
	mu       sync.Mutex
	listener net.Listener
	over     bool
}

// hold keeps a listener until close, and closes it if that has been.
func (p *portForward) hold(l net.Listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener = l
	if p.over {
		_ = l.Close()
	}
}

// close gives the loopback back, now and whenever it is still to be taken.
func (p *portForward) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.listener != nil {
		_ = p.listener.Close() // a file descriptor that this process alone has
	}
}

// forwardPorts serves until the pod ends. It does nothing when the agent cannot
// forward, or when the pod has no namespace of its own.
func (s *Sandbox) forwardPorts() {
	netns := s.network.path()
	if netns == "" || !slices.Contains(s.guest().features, forward.Feature) {
		return
	}
	l, err := s.drivers.Network.Steer(netns)
	if err != nil {
		s.log.WithError(err).Warn("forwarding of ports (kubectl port-forward) will not reach this pod")
		return
	}
	s.forwards.hold(l)
	free := make(chan struct{}, maxForwards)
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.log.WithError(err).Warn("cannot accept a connection to forward; trying again")
			s.life.wait(timeouts.AcceptRetry)
			continue
		}
		select {
		case free <- struct{}{}:
			// It owns the connection, and ends with it or with the pod's life.
			go func() {
				defer func() { <-free }()
				s.forward(conn)
			}()
		default:
			s.log.WithField("limit", maxForwards).Warn("too many forwarded connections at a time; one was refused")
			forward.Reset(conn)
		}
	}
}

// forward joins a connection, which it owns, to the same port of the guest.
func (s *Sandbox) forward(conn net.Conn) {
	defer context.AfterFunc(s.life.ctx, func() { forward.Reset(conn) })()
	port := uint16(conn.LocalAddr().(*net.TCPAddr).Port)
	stream, err := s.reachPort(port)
	if err != nil {
		forward.Reset(conn)
	} else {
		defer context.AfterFunc(s.life.ctx, func() { _ = stream.Close() })()
		err = forward.Join(conn, stream)
	}
	if err != nil && !s.life.over() {
		s.log.WithError(err).WithField("port", port).Debug("a forwarded connection broke")
	}
}

// reachPort opens a stream to a port of the guest's loopback.
func (s *Sandbox) reachPort(port uint16) (net.Conn, error) {
	ctx, cancel := s.life.during(s.life.ctx, timeouts.Forward)
	defer cancel()
	stream, err := s.dialer().Dial(ctx, transport.PortForward)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = stream.Close() })
	if err := forward.Request(stream, port); err != nil {
		stop()
		return nil, errors.Join(err, stream.Close())
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	return stream, nil
}

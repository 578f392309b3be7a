// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/stdio"
)

const (
	// tokenTimeout bounds how long a connection may stay without its token.
	tokenTimeout = 10 * time.Second
	// claimTimeout bounds how long a connection waits for the call that names
	// it; calls have at most 60 s on the host.
	claimTimeout = 60 * time.Second
	// maxUnclaimed bounds the connections that wait for their call.
	maxUnclaimed = 1024
)

// Registry brings connections and claims together by token. Make it with [New].
type Registry struct {
	// mu guards what follows.
	mu      sync.Mutex
	waiting map[stdio.Token]*slot
	arrived int
}

// slot is one token that only one side has named so far. conn gets the
// connection when the claim came first; held is set when the connection did.
type slot struct {
	conn   chan net.Conn
	held   net.Conn
	expiry *time.Timer
}

// New returns an empty registry.
func New() *Registry {
	return &Registry{waiting: map[stdio.Token]*slot{}}
}

// Serve accepts connections and reads their tokens until the listener closes,
// which it does when ctx ends.
func (r *Registry) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("accept a stdio stream: %w", err)
		}
		// It owns the connection until the token is read, which has tokenTimeout.
		go r.greet(conn)
	}
}

func (r *Registry) greet(conn net.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(tokenTimeout))
	token, err := stdio.ReadToken(conn)
	if err == nil {
		_ = conn.SetReadDeadline(time.Time{})
		err = r.Deliver(token, conn)
	}
	if err != nil {
		slog.Warn("refused a stdio stream", "error", err)
		_ = conn.Close()
	}
}

// Deliver hands over the connection of a token. On error the caller keeps it.
func (r *Registry) Deliver(token stdio.Token, conn net.Conn) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.waiting[token]; ok {
		if s.held != nil {
			return fmt.Errorf("a second stdio stream with the same token: %w", errdefs.ErrAlreadyExists)
		}
		delete(r.waiting, token)
		s.conn <- conn
		return nil
	}
	if r.arrived >= maxUnclaimed {
		return fmt.Errorf("%d stdio streams wait for their call already: %w", r.arrived, errdefs.ErrResourceExhausted)
	}
	s := &slot{held: conn}
	s.expiry = time.AfterFunc(claimTimeout, func() { r.expire(token, s) })
	r.waiting[token] = s
	r.arrived++
	return nil
}

func (r *Registry) expire(token stdio.Token, s *slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[token] != s {
		return
	}
	delete(r.waiting, token)
	r.arrived--
	_ = s.held.Close()
}

// Claim waits for the connection of a token, until ctx ends. The caller owns
// the connection. A token is claimed once.
func (r *Registry) Claim(ctx context.Context, token stdio.Token) (net.Conn, error) {
	s, conn, err := r.reserve(token)
	if err != nil || conn != nil {
		return conn, err
	}
	select {
	case conn := <-s.conn:
		return conn, nil
	case <-ctx.Done():
		return nil, r.abandon(token, s, ctx.Err())
	}
}

// reserve returns the connection that has arrived already, or a slot for it.
func (r *Registry) reserve(token stdio.Token) (*slot, net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.waiting[token]
	if !ok {
		s = &slot{conn: make(chan net.Conn, 1)}
		r.waiting[token] = s
		return s, nil, nil
	}
	if s.held == nil {
		return nil, nil, fmt.Errorf("claim a stdio stream that is claimed already: %w", errdefs.ErrAlreadyExists)
	}
	s.expiry.Stop()
	delete(r.waiting, token)
	r.arrived--
	return nil, s.held, nil
}

// abandon gives a claim up, closing a connection that came at the last moment.
func (r *Registry) abandon(token stdio.Token, s *slot, cause error) error {
	r.mu.Lock()
	if r.waiting[token] == s {
		delete(r.waiting, token)
	}
	r.mu.Unlock()
	select {
	case conn := <-s.conn:
		_ = conn.Close()
	default:
	}
	return fmt.Errorf("wait for a stdio stream of the host: %w", cause)
}

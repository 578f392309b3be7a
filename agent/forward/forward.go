// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/katapod/katapod/protocols/forward"
)

const (
	// portTimeout bounds how long a stream may stay without its port.
	portTimeout = 10 * time.Second
	// dialTimeout bounds one dial. The loopback answers at once, but for a
	// program whose queue of connections is full.
	dialTimeout = 5 * time.Second
)

// loopbacks are dialled in this order.
func loopbacks() [2]netip.Addr {
	return [...]netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
}

// Serve accepts streams and joins each to the port that it names, until the
// listener closes, which it does when ctx ends. within calls a function in the
// network namespace whose loopback is meant.
func Serve(ctx context.Context, l net.Listener, within func(func() error) error) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		stream, err := l.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept a stream to a port: %w", err)
		}
		// It owns the stream, and ends with it or with ctx.
		go func() {
			if err := serve(ctx, stream, within); err != nil {
				slog.Debug("a forwarded connection ended", "error", err)
			}
		}()
	}
}

// serve owns one stream.
func serve(ctx context.Context, stream net.Conn, within func(func() error) error) error {
	defer func() { _ = stream.Close() }()
	_ = stream.SetReadDeadline(time.Now().Add(portTimeout))
	port, err := forward.ReadPort(stream)
	if err != nil {
		return err
	}
	_ = stream.SetReadDeadline(time.Time{})
	var conn net.Conn
	err = within(func() (err error) {
		conn, err = dial(ctx, port)
		return err
	})
	if err != nil {
		return errors.Join(err, forward.Answer(stream, false))
	}
	if err := forward.Answer(stream, true); err != nil {
		return errors.Join(err, conn.Close())
	}
	return forward.Join(conn, stream)
}

// dial connects to the port on the first loopback address where it is open.
func dial(ctx context.Context, port uint16) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	var errs []error
	for _, host := range loopbacks() {
		// Not DialContext, which links the resolver of names.
		conn, err := dialer.DialTCP(ctx, "tcp", netip.AddrPort{}, netip.AddrPortFrom(host, port))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Hybrid dials guest ports through a VMM's unix socket, as Cloud Hypervisor,
// Firecracker and vhost-device-vsock offer it.
type Hybrid struct {
	path  string
	conns tracker
}

// NewHybrid returns a dialer for the unix socket at path. The socket need not
// exist yet.
func NewHybrid(path string) *Hybrid {
	return &Hybrid{path: path}
}

// Dial implements [Dialer].
func (h *Hybrid) Dial(ctx context.Context, port uint32) (net.Conn, error) {
	return untilListening(ctx, port, func() (net.Conn, error) {
		if h.conns.isClosed() {
			return nil, net.ErrClosed
		}
		c, err := h.try(ctx, port)
		if err != nil {
			return nil, err
		}
		return h.conns.add(c)
	})
}

// try connects and greets once.
func (h *Hybrid) try(ctx context.Context, port uint32) (*net.UnixConn, error) {
	c, err := dialUnix(ctx, h.path)
	if err != nil {
		return nil, err
	}
	// A deadline in the past ends the greeting's reads and writes with ctx.
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	err = greet(c, port)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) {
		err = refused(port)
	}
	if err != nil {
		_ = c.Close()
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, errRefused) {
			err = fmt.Errorf("the VMM at %s did not answer: %w", h.path, cause)
		}
		return nil, err
	}
	return c, nil
}

// Close implements [Dialer].
func (h *Hybrid) Close() error {
	h.conns.close()
	return nil
}

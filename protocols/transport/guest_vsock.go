// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"
)

// ServeVsock serves every port over AF_VSOCK until ctx ends, whose cause it
// returns. Only the host (context id 2) may connect: a process in the guest
// could otherwise reach the agent through the kernel's loopback. The error is
// ErrNotImplemented when the kernel has no AF_VSOCK.
func (g *Guest) ServeVsock(ctx context.Context) error {
	return g.serveVsock(ctx, vsock.Host)
}

// serveVsock takes streams from one context id only.
func (g *Guest) serveVsock(ctx context.Context, peer uint32) error {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("listen on AF_VSOCK: %w: %w", errdefs.ErrNotImplemented, err)
	}
	_ = unix.Close(fd)
	var all sync.WaitGroup
	stop := g.watch(func(l *listener) {
		all.Go(func() { g.serveVsockPort(ctx, l, peer) })
	})
	<-ctx.Done()
	stop()
	all.Wait()
	return context.Cause(ctx)
}

// serveVsockPort feeds one port until it is closed or ctx ends.
func (g *Guest) serveVsockPort(ctx context.Context, l *listener, peer uint32) {
	vl, err := vsock.ListenContextID(unix.VMADDR_CID_ANY, l.port, nil)
	if err != nil {
		g.report(fmt.Errorf("listen on AF_VSOCK port %d: %w", l.port, err))
		return
	}
	g.bound(l.port)
	over := make(chan struct{})
	defer close(over)
	// It ends with the call.
	go func() {
		select {
		case <-l.done:
		case <-ctx.Done():
		case <-over:
		}
		_ = vl.Close()
	}()
	var retry backoff
	for {
		c, err := vl.Accept()
		if errors.Is(err, unix.ECONNABORTED) {
			continue
		}
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
			g.report(fmt.Errorf("accept on AF_VSOCK port %d: %w", l.port, err))
			if retry.wait(ctx) == nil {
				continue
			}
		}
		if err != nil {
			if !errors.Is(err, net.ErrClosed) && ctx.Err() == nil {
				g.report(fmt.Errorf("accept on AF_VSOCK port %d: %w", l.port, err))
			}
			return
		}
		a, ok := c.RemoteAddr().(*vsock.Addr)
		if !ok || a.ContextID != peer {
			g.report(fmt.Errorf("refused a stream to AF_VSOCK port %d: %v is not the host", l.port, c.RemoteAddr()))
			_ = c.Close()
			continue
		}
		l.deliver(c, ctx.Done())
	}
}

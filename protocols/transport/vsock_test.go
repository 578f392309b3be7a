// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"

	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
)

// startVsock serves over the kernel's vsock loopback.
func startVsock(t *testing.T, peer uint32) *Guest {
	t.Helper()
	checkLeaks(t)
	l, err := vsock.ListenContextID(vsock.Local, 0, nil)
	if err == nil {
		var c *vsock.Conn
		c, err = vsock.Dial(vsock.Local, l.Addr().(*vsock.Addr).Port, nil)
		if err == nil {
			_ = c.Close()
		}
		_ = l.Close()
	}
	if err != nil {
		t.Skip("needs a kernel with the vsock loopback (vsock_loopback):", err)
	}
	g := NewGuest(GuestOptions{Report: func(err error) { t.Log("guest:", err) }})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.serveVsock(ctx, peer) }()
	t.Cleanup(func() {
		cancel()
		if err := leaktest.Receive(t, done); !errors.Is(err, context.Canceled) {
			t.Errorf("serving ended with %v", err)
		}
	})
	return g
}

// vsockPort and the one above are this process's: all of a machine have one set of ports.
func vsockPort() uint32 { return 0x6b000000 + 2*uint32(os.Getpid()) }

func TestVsock(t *testing.T) {
	g := startVsock(t, vsock.Local)
	v := NewVsock(vsock.Local)
	t.Cleanup(func() { _ = v.Close() })
	serve(t, g, vsockPort(), echo)
	c := dial(t, v, vsockPort())
	exchange(t, c, "hello")
	_ = v.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the stream outlives its dialer")
	}
	if _, err := v.Dial(testContext(t), vsockPort()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a Dial after Close gave %v", err)
	}
}

// TestVsockOnlyTheHost refuses streams that come from within.
func TestVsockOnlyTheHost(t *testing.T) {
	g := startVsock(t, vsock.Host)
	serve(t, g, vsockPort(), echo)
	v := NewVsock(vsock.Local)
	t.Cleanup(func() { _ = v.Close() })
	c := dial(t, v, vsockPort())
	_, _ = c.Write([]byte("x"))
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes came back", n)
	}
}

func TestVsockRefused(t *testing.T) {
	startVsock(t, vsock.Local)
	v := NewVsock(vsock.Local)
	mustTimeOut(t, v, vsockPort()+1, "connection refused: nothing listens on guest port")
}

// TestVsockPorts opens and closes ports before and while they are served.
func TestVsockPorts(t *testing.T) {
	checkLeaks(t)
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skip("needs a kernel with AF_VSOCK:", err)
	}
	_ = unix.Close(fd)
	g := NewGuest(GuestOptions{Report: func(err error) { t.Error("guest:", err) }})
	bound := make(chan uint32, 2)
	g.bound = func(port uint32) { bound <- port }
	before := serve(t, g, vsockPort(), echo)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.ServeVsock(ctx) }()
	during := serve(t, g, vsockPort()+1, echo)
	if a, b := leaktest.Receive(t, bound), leaktest.Receive(t, bound); a+b != 2*vsockPort()+1 {
		t.Errorf("ports %d and %d listen", a, b)
	}
	_ = before.Close()
	awaitFree(t, vsockPort())
	cancel()
	if err := leaktest.Receive(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("serving ended with %v", err)
	}
	awaitFree(t, vsockPort()+1)
	_ = during.Close()
}

// awaitFree waits until nobody has an AF_VSOCK port, which nobody takes any more.
func awaitFree(t *testing.T, port uint32) {
	t.Helper()
	ctx := testContext(t)
	for b := (backoff{}); ; {
		l, err := vsock.ListenContextID(unix.VMADDR_CID_ANY, port, nil)
		if err == nil {
			_ = l.Close()
			return
		}
		if cause := b.wait(ctx); cause != nil {
			t.Fatalf("port %d: %v", port, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait of a test that should not take long.
const patience = 2 * time.Minute

func contextFor(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// startGuest serves a port until the test ends and checks how serving ends.
func startGuest(t *testing.T, port serialPort) *Guest {
	t.Helper()
	g := NewGuest(GuestOptions{Report: func(err error) { t.Log("guest:", err) }})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.serveSerial(ctx, port) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("serving ended with %v, want the context's error", err)
			}
		case <-time.After(patience):
			t.Error("serving did not end with its context")
		}
	})
	return g
}

// startSerial returns both ends of a fake serial port.
func startSerial(t *testing.T) (*chardev, *Serial, *Guest) {
	t.Helper()
	checkLeaks(t)
	dev := newChardev(t)
	g := startGuest(t, dev)
	s := NewSerial(dev.path)
	t.Cleanup(func() { _ = s.Close() })
	return dev, s, g
}

// serve runs handle for every stream to a port of the guest.
func serve(t *testing.T, g *Guest, port uint32, handle func(net.Conn)) net.Listener {
	t.Helper()
	l, err := g.Listen(port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
	return l
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

func dial(t *testing.T, d Dialer, port uint32) halfCloser {
	t.Helper()
	c, err := d.Dial(testContext(t), port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	h, ok := c.(halfCloser)
	if !ok {
		t.Fatalf("a %T has no CloseWrite", c)
	}
	return h
}

// mustTimeOut dials a port of which nothing comes, and wants the error to say why the deadline passed. What is tried until
// then takes what the machine has time for, so that a short deadline may pass before anything was tried.
func mustTimeOut(t *testing.T, d Dialer, port uint32, want string) {
	t.Helper()
	for limit := 50 * time.Millisecond; ; limit *= 4 {
		ctx, cancel := contextFor(limit)
		_, err := d.Dial(ctx, port)
		cancel()
		if err == nil || !errors.Is(err, context.DeadlineExceeded) || limit > patience && !strings.Contains(err.Error(), want) {
			t.Errorf("port %d: got %v, want %q", port, err, want)
			return
		}
		if strings.Contains(err.Error(), want) {
			return
		}
	}
}

// exchange sends text and expects it back.
func exchange(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	if string(b) != text {
		t.Fatalf("sent %q, got %q back", text, b)
	}
}

// checkLeaks fails the test when, after all its clean-ups, goroutines of this
// package or of the multiplexer are left.
func checkLeaks(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		var left string
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) { // nothing tells of the end of a goroutine
			if left = leaked(); left == "" {
				return
			}
		}
		t.Errorf("goroutines are left:\n%s", left)
	})
}

func leaked() string {
	b := make([]byte, 1<<20)
	b = b[:runtime.Stack(b, true)]
	var left []string
	for i, g := range strings.Split(string(b), "\n\n") {
		if i == 0 { // the one that asks
			continue
		}
		if strings.Contains(g, "hashicorp/yamux") || strings.Contains(g, "protocols/transport.") &&
			!strings.Contains(g, "testing.(*T).Run") {
			left = append(left, g)
		}
	}
	return strings.Join(left, "\n\n")
}

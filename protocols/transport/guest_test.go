// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/integration/leaktest"
)

func TestListen(t *testing.T) {
	g := NewGuest(GuestOptions{})
	l, err := g.Listen(7)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Listen(7); !errdefs.IsAlreadyExists(err) {
		t.Errorf("a second Listen gave %v", err)
	}
	if l.Addr().String() != "guest:7" || l.Addr().Network() != "katapod" {
		t.Errorf("the address is %s of %s", l.Addr(), l.Addr().Network())
	}
	accepted := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		accepted <- err
	}()
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := leaktest.Receive(t, accepted); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept gave %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a later Accept gave %v", err)
	}
	if l, err = g.Listen(7); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

// TestListenerCloseWithPending closes a listener while greeted streams wait.
func TestListenerCloseWithPending(t *testing.T) {
	_, s, g := startSerial(t)
	l, err := g.Listen(5)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s, 5) // greeted, never accepted
	_ = l.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a read gave %v", err)
	}
}

// TestServeSerialPath names the device that can't be opened.
func TestServeSerialPath(t *testing.T) {
	g := NewGuest(GuestOptions{})
	err := g.ServeSerial(testContext(t), filepath.Join(t.TempDir(), "none"))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "virtio-serial port") {
		t.Errorf("got %v", err)
	}
}

// TestStaleBytes begins a session behind the rests of another.
func TestStaleBytes(t *testing.T) {
	checkLeaks(t)
	dev := newChardev(t)
	dev.in = []byte("\x00\x00\x00\x01half a frame" + syncMagic)
	g := startGuest(t, dev)
	serve(t, g, 1, echo)
	s := NewSerial(dev.path)
	t.Cleanup(func() { _ = s.Close() })
	exchange(t, dial(t, s, 1), "clean")
}

// TestSecondHello begins a session in the middle of another without the guest
// having seen the host leave, as in a VM that was cloned.
func TestSecondHello(t *testing.T) {
	checkLeaks(t)
	host, guest := net.Pipe()
	t.Cleanup(func() { _ = host.Close() })
	g := startGuest(t, guest)
	broken := make(chan error, 1)
	serve(t, g, 1, func(c net.Conn) {
		_, err := io.Copy(c, c)
		broken <- err
	})
	// Two sessions over one connection: the first one's end leaves it open.
	first, err := handshake(testContext(t), keepOpen{host})
	if err != nil {
		t.Fatal(err)
	}
	st, err := openGreeted(testContext(t), first, 1)
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, st, "one")
	first.close()
	_ = host.SetDeadline(time.Time{})
	second, err := handshake(testContext(t), keepOpen{host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.close)
	if err := leaktest.Receive(t, broken); err == nil {
		t.Error("the first session's stream ended as if nothing had happened")
	}
	st, err = openGreeted(testContext(t), second, 1)
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, st, "two")
	_ = st.Close()
}

// keepOpen breaks reads and writes instead of closing.
type keepOpen struct{ net.Conn }

func (k keepOpen) Close() error { return k.SetDeadline(time.Unix(1, 0)) }

func TestFindSerialPort(t *testing.T) {
	sys := t.TempDir()
	for port, name := range map[string]string{"vport1p1": "console", "vport2p3": SerialPortName} {
		dir := filepath.Join(sys, port)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "name"), []byte(name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := findSerialPort(sys, SerialPortName); err != nil || got != "/dev/vport2p3" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := findSerialPort(sys, "other"); !errdefs.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
}

// TestAwaitSerialPort waits for a port that never comes, until ctx ends.
func TestAwaitSerialPort(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err := NewGuest(GuestOptions{}).ServeSerial(ctx, "")
	if !errors.Is(err, context.DeadlineExceeded) || !errdefs.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
}

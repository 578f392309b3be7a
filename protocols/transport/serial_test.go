// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/integration/leaktest"
)

func TestSerialEcho(t *testing.T) {
	_, s, g := startSerial(t)
	serve(t, g, PortAgent, echo)
	c := dial(t, s, PortAgent)
	exchange(t, c, "hello")
	if got := c.RemoteAddr().String(); got != "guest:1024" {
		t.Errorf("the remote address is %s", got)
	}
}

// TestSerialManyStreams moves checked bytes both ways on 100 streams at once.
func TestSerialManyStreams(t *testing.T) {
	const streams, size = 100, 300_000 // more than a window
	_, s, g := startSerial(t)
	serve(t, g, PortStdio, echo)
	var all sync.WaitGroup
	for i := range streams {
		all.Go(func() {
			if err := checkedEcho(testContext(t), s, size+i); err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
		})
	}
	all.Wait()
}

// checkedEcho compares the sums of what went out and came back.
func checkedEcho(ctx context.Context, d Dialer, size int) error {
	c, err := d.Dial(ctx, PortStdio)
	if err != nil {
		return err
	}
	defer c.Close()
	sent := make(chan []byte, 1)
	go func() {
		sum := sha256.New()
		_, _ = io.CopyN(io.MultiWriter(c, sum), rand.Reader, int64(size))
		_ = c.(halfCloser).CloseWrite()
		sent <- sum.Sum(nil)
	}()
	got := sha256.New()
	n, err := io.Copy(got, c)
	if err != nil {
		return fmt.Errorf("after %d bytes: %w", n, err)
	}
	if want := <-sent; !bytes.Equal(want, got.Sum(nil)) {
		return fmt.Errorf("%d of %d bytes came back, and not the same", n, size)
	}
	return nil
}

// TestSerialSlowReader leaves one stream unread in each direction.
func TestSerialSlowReader(t *testing.T) {
	_, s, g := startSerial(t)
	serve(t, g, 1, func(c net.Conn) { // writes for ever, reads nothing
		b := make([]byte, 64<<10)
		for {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	})
	serve(t, g, 2, echo)
	stuck := dial(t, s, 1)
	blocked := make(chan error, 1)
	go func() {
		_, err := stuck.Write(make([]byte, 10*windowSize))
		blocked <- err
	}()
	for range 20 {
		if err := checkedEchoOn(t, s, 2); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-blocked:
		t.Fatalf("a write past the window ended with %v", err)
	default:
	}
	_ = stuck.Close()
	if err := leaktest.Receive(t, blocked); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("the write of a closed stream gave %v", err)
	}
}

func checkedEchoOn(t *testing.T, s *Serial, port uint32) error {
	t.Helper()
	c := dial(t, s, port)
	defer c.Close()
	exchange(t, c, strings.Repeat("x", 100_000))
	return nil
}

// TestSerialHalfClose ends one direction and goes on in the other, both ways.
func TestSerialHalfClose(t *testing.T) {
	_, s, g := startSerial(t)
	serve(t, g, 1, func(c net.Conn) {
		all, err := io.ReadAll(c)
		if err != nil {
			return
		}
		_, _ = fmt.Fprintf(c, "%d bytes", len(all))
	})
	c := dial(t, s, 1)
	if _, err := c.Write(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after CloseWrite gave %v", err)
	}
	all, err := io.ReadAll(c)
	if err != nil || string(all) != "5000 bytes" {
		t.Errorf("got %q, %v", all, err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Errorf("a second CloseWrite gave %v", err)
	}
}

// TestSerialCloseReleases checks that closed streams leave nothing behind, even
// when the guest only ends them later.
func TestSerialCloseReleases(t *testing.T) {
	_, s, g := startSerial(t)
	serve(t, g, 1, func(c net.Conn) {
		_, _ = c.Write(make([]byte, 3*windowSize)) // more than an unread stream takes
		_, _ = io.Copy(io.Discard, c)
	})
	for range 50 {
		c := dial(t, s, 1)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("a read after Close gave %v", err)
		}
		if err := c.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("a deadline after Close gave %v", err)
		}
	}
	ctx := testContext(t)
	notes := func() int {
		s.mux.ends.mu.Lock()
		defer s.mux.ends.mu.Unlock()
		return len(s.mux.ends.finished)
	}
	// A note goes after its stream.
	for b := (backoff{}); s.mux.session.NumStreams() > 0 || notes() > 0; {
		if err := b.wait(ctx); err != nil {
			t.Fatalf("%d streams and %d notes of streams are left", s.mux.session.NumStreams(), notes())
		}
	}
}

func TestSerialDeadline(t *testing.T) {
	_, s, g := startSerial(t)
	serve(t, g, 1, echo)
	c := dial(t, s, 1)
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	var ne net.Error
	if _, err := c.Read(make([]byte, 1)); !errors.As(err, &ne) || !ne.Timeout() {
		t.Fatalf("a read past its deadline gave %v", err)
	}
	_ = c.SetReadDeadline(time.Time{})
	exchange(t, c, "still there")
}

// TestSerialRefused dials a port that opens only later, and one that never does.
func TestSerialRefused(t *testing.T) {
	_, s, g := startSerial(t)
	mustTimeOut(t, s, 77, "connection refused: nothing listens on guest port 77")
	serving := make(chan struct{})
	time.AfterFunc(50*time.Millisecond, func() {
		defer close(serving)
		serve(t, g, 78, echo)
	})
	exchange(t, dial(t, s, 78), "late")
	leaktest.Receive(t, serving)
}

// TestSerialNoSocket bounds the wait for a VMM and for a guest that never come.
func TestSerialNoSocket(t *testing.T) {
	checkLeaks(t)
	dev := newChardev(t) // but no guest
	for path, want := range map[string]string{
		dev.path + ".none": "the VMM has not opened the port's socket",
		dev.path:           "the guest has not answered",
	} {
		s := NewSerial(path)
		mustTimeOut(t, s, 1, want)
		_ = s.Close()
		if _, err := s.Dial(testContext(t), 1); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a Dial after Close gave %v", err)
		}
	}
	s := NewSerial("never dialled")
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close of a dialer that never dialled gave %v", err)
		}
	}
}

// TestSerialDeath breaks the connection below open streams.
func TestSerialDeath(t *testing.T) {
	dev, s, g := startSerial(t)
	serve(t, g, 1, echo)
	c := dial(t, s, 1)
	exchange(t, c, "x")
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	dev.hangUp()
	if err := leaktest.Receive(t, read); errors.Is(err, io.EOF) || !errdefs.IsUnavailable(err) {
		t.Errorf("a read gave %v", err)
	}
	if _, err := c.Write([]byte("x")); !errdefs.IsUnavailable(err) {
		t.Errorf("a write gave %v", err)
	}
	if _, err := s.Dial(testContext(t), 1); !errdefs.IsUnavailable(err) {
		t.Errorf("a later Dial gave %v", err)
	}
}

// TestSerialEndBeforeDeath reads a stream's proper end although the session
// has died since.
func TestSerialEndBeforeDeath(t *testing.T) {
	dev, s, g := startSerial(t)
	serve(t, g, 1, func(c net.Conn) { _, _ = io.WriteString(c, "last words") })
	c := dial(t, s, 1)
	ctx := testContext(t)
	for b := (backoff{}); !s.mux.ends.isFinished(c.(*stream).y.StreamID()); {
		if err := b.wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	dev.hangUp()
	leaktest.Receive(t, s.mux.done)
	if all, err := io.ReadAll(c); err != nil || string(all) != "last words" {
		t.Errorf("got %q, %v", all, err)
	}
}

// TestSerialNewSession lets a second host take over; the first one's streams
// break, in the guest too.
func TestSerialNewSession(t *testing.T) {
	dev, first, g := startSerial(t)
	ended := make(chan error, 1)
	serve(t, g, 1, func(c net.Conn) {
		_, err := io.Copy(c, c)
		ended <- err
	})
	c := dial(t, first, 1)
	exchange(t, c, "one")
	_ = first.Close()
	if err := leaktest.Receive(t, ended); !errdefs.IsUnavailable(err) {
		t.Errorf("the guest's stream ended with %v", err)
	}
	for range 5 {
		next := NewSerial(dev.path)
		exchange(t, dial(t, next, 1), "again")
		_ = next.Close()
		leaktest.Receive(t, ended)
	}
}

// TestSerialFrozenGuest closes and dials while the guest takes no bytes.
func TestSerialFrozenGuest(t *testing.T) {
	checkLeaks(t)
	host, guest := net.Pipe() // takes nothing by itself
	t.Cleanup(func() { _ = guest.Close() })
	s := NewSerial("unused")
	s.once.Do(func() {})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		b := make([]byte, syncLen)
		_, _ = io.ReadFull(guest, b)
		_, _ = io.WriteString(guest, syncReady+string(b[len(syncHello):]))
	}()
	var err error
	if s.mux, err = handshake(testContext(t), host); err != nil {
		t.Fatal(err)
	}
	leaktest.Receive(t, answered)
	close(s.ready)
	ctx, cancel := context.WithTimeout(testContext(t), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Dial(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	_ = s.Close()
}

// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
)

// pair makes the two ends of a TCP connection, which the test closes.
func pair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		t.Cleanup(func() { _ = c.Close() })
	}
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// joined makes two connections that are joined in the middle.
func joined(t *testing.T) (left, right *net.TCPConn, result <-chan error) {
	t.Helper()
	left, a := pair(t)
	b, right := pair(t)
	ended := make(chan error, 1)
	go func() { ended <- Join(a, b) }()
	return left, right, ended
}

func TestJoinEndsEachWayByItself(t *testing.T) {
	left, right, result := joined(t)
	question, answer := make([]byte, 4<<20), make([]byte, 4<<20)
	_, _ = rand.Read(question)
	_, _ = rand.Read(answer)
	send := func(c *net.TCPConn, data []byte) {
		_, err := c.Write(data)
		if err := errors.Join(err, c.CloseWrite()); err != nil {
			t.Error(err)
		}
	}
	go send(left, question)
	if got, err := io.ReadAll(right); err != nil || !bytes.Equal(got, question) {
		t.Fatalf("%d bytes of %d came, %v", len(got), len(question), err)
	}
	select {
	case err := <-result:
		t.Fatalf("it ended with one direction: %v", err)
	default:
	}
	go send(right, answer)
	if got, err := io.ReadAll(left); err != nil || !bytes.Equal(got, answer) {
		t.Fatalf("%d bytes of %d came back, %v", len(got), len(answer), err)
	}
	if err := leaktest.Receive(t, result); err != nil {
		t.Error(err)
	}
}

// A connection that breaks is not taken for one that ended.
func TestJoinPassesABreakOn(t *testing.T) {
	left, right, result := joined(t)
	if _, err := left.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(right, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	Reset(left)
	if _, err := right.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the other end read %v", err)
	}
	if err := leaktest.Receive(t, result); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("got %v", err)
	}
}

// Streams that cannot half-close end as a whole.
func TestJoinWithoutHalfClose(t *testing.T) {
	left, a := pair(t)
	b, right := net.Pipe()
	result := make(chan error, 1)
	go func() { result <- Join(a, b) }()
	_ = left.CloseWrite()
	if _, err := right.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the stream read %v", err)
	}
	leaktest.Receive(t, result)
}

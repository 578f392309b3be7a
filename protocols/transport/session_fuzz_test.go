// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/leaktest"
)

// sessionTime bounds one try: a session over a peer that has said all it says ends at
// once.
const sessionTime = time.Minute

// ended closes its connection when the test is done with it.
func peers(t *testing.T, dir string) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{near, far} {
		_ = c.SetDeadline(time.Now().Add(sessionTime))
		t.Cleanup(func() { _ = c.Close() })
	}
	return near, far
}

// FuzzHostSession is the host's end of a whole session, whose guest says anything: the
// host's dial, read and close return, and not for the deadline.
func FuzzHostSession(f *testing.F) {
	greeted := append(rawFrame(0, frameWindow, 2, 1, 0, ""), rawFrame(0, frameData, 0, 1, 5, "OK 1\n")...)
	f.Add(append(greeted[:len(greeted):len(greeted)], rawFrame(0, frameData, flagFIN, 1, 5, "hello")...))
	f.Add(append(greeted[:len(greeted):len(greeted)], rawFrame(0, frameWindow, 8, 1, 1<<31, "")...)) // a reset
	f.Add(append(greeted[:len(greeted):len(greeted)], rawFrame(0, frameData, 0, 1, 200<<10, "")...)) // cut short
	f.Add(append(rawFrame(0, frameWindow, 0, 1, 1<<32-1, ""), rawFrame(0, frameWindow, 0, 1, 1<<32-1, "")...))
	f.Add(rawFrame(0, frameData, 0, 3, 9, "unopened!"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, said []byte) {
		near, far := peers(t, dir)
		go func() {
			_, _ = far.Write(said)
			_ = far.(*net.UnixConn).CloseWrite()
			_, _ = io.Copy(io.Discard, far)
		}()
		began := time.Now()
		m, err := newHostMux(bufio.NewReader(near), near)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), sessionTime)
		defer cancel()
		if s, err := openGreeted(ctx, m, 1); err == nil {
			_, _ = io.Copy(io.Discard, s)
			_, _ = s.Write([]byte("x"))
			_ = s.Close()
		}
		leaktest.Receive(t, m.done)
		m.close()
		if time.Since(began) > sessionTime/2 {
			t.Fatal("it took until the deadline")
		}
	})
}

// FuzzGuestSession is the guest's end, whose host says anything.
func FuzzGuestSession(f *testing.F) {
	hello := syncHello + strings.Repeat("0123456789abcdef", 2) + "\n"
	open := append(rawFrame(0, frameWindow, flagSYN, 1, 0, ""), rawFrame(0, frameData, 0, 1, 10, "CONNECT 7\n")...)
	f.Add([]byte(hello + string(open) + string(rawFrame(0, frameData, flagFIN, 1, 3, "abc"))))
	f.Add([]byte(hello + string(open) + hello + string(open)))
	f.Add([]byte(hello + string(rawFrame(0, 2, flagSYN, 0, 7, "")) + string(rawFrame(0, 3, 0, 0, 0, ""))))
	f.Add([]byte(hello + string(rawFrame(0, frameData, flagSYN, 2, 1<<31, "even"))))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, said []byte) {
		near, far := peers(t, dir)
		go func() {
			_, _ = far.Write(said)
			_ = far.(*net.UnixConn).CloseWrite()
			_, _ = io.Copy(io.Discard, far)
		}()
		g := NewGuest(GuestOptions{})
		l, err := g.Listen(7)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					echo(c)
				}()
			}
		}()
		began := time.Now()
		r := bufio.NewReader(near)
		if id, err := awaitSync(r, syncHello, ""); err == nil && len(id) == idDigits {
			m, err := newGuestMux(r, near)
			if err != nil {
				t.Fatal(err)
			}
			for {
				s, err := m.accept()
				if err != nil {
					m.end(err)
					break
				}
				go func() {
					defer s.Close()
					if port, err := readConnect(s); err == nil && port == 7 {
						echo(s)
					}
				}()
			}
			m.close()
		}
		if time.Since(began) > sessionTime/2 {
			t.Fatal("it took until the deadline")
		}
	})
}

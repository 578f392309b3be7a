// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/forward"
)

// host makes a server and returns how to open a stream to it.
func host(t *testing.T) func() net.Conn {
	t.Helper()
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, streams, func(f func() error) error { return f() }) }()
	t.Cleanup(func() {
		cancel()
		if err := leaktest.Receive(t, ended); err != nil {
			t.Error(err)
		}
	})
	return func() net.Conn {
		c, err := net.Dial("tcp", streams.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
}

func TestForward(t *testing.T) {
	open := host(t)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		app, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		port := uint16(app.Addr().(*net.TCPAddr).Port)
		go func() {
			c, err := app.Accept()
			if err != nil {
				return
			}
			in, _ := io.ReadAll(c) // up to the half-close
			_, _ = c.Write(append(in, " back"...))
			_ = c.Close()
		}()
		stream := open()
		if err := forward.Request(stream, port); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(stream, "there and")
		_ = stream.(*net.TCPConn).CloseWrite()
		if got, err := io.ReadAll(stream); err != nil || string(got) != "there and back" {
			t.Errorf("%s: %q, %v", address, got, err)
		}
		_ = app.Close()
		if err := forward.Request(open(), port); !errdefs.IsUnavailable(err) {
			t.Errorf("%s: a port that is closed gave %v", address, err)
		}
	}
}

func TestStreamWithoutPort(t *testing.T) {
	stream := host(t)()
	_, _ = stream.Write([]byte{1})
	_ = stream.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(stream); err != nil || len(got) > 0 {
		t.Errorf("it was answered %x, %v", got, err)
	}
}

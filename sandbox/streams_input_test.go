// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// muxed is a stream over the multiplexer: writes succeed although the other side has ended its own direction.
type muxed struct {
	net.Conn
	ended  chan struct{}
	once   sync.Once
	closed chan struct{}
}

func (m *muxed) Read([]byte) (int, error) {
	<-m.ended
	return 0, io.EOF
}

func (m *muxed) Write(p []byte) (int, error) {
	select {
	case <-m.closed:
		return 0, net.ErrClosed
	default:
		return len(p), nil
	}
}

func (m *muxed) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

// Writing to an input that the guest has closed fails.
func TestInputThatTheGuestClosed(t *testing.T) {
	m := &muxed{ended: make(chan struct{}), closed: make(chan struct{})}
	in := asStreams(m, nil, nil).stdin
	if _, err := in.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	close(m.ended)
	select {
	case <-m.closed:
	case <-time.After(10 * time.Second):
		t.Fatal("the host goes on writing")
	}
	if _, err := in.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write to an input that the guest has closed: %v", err)
	}
}

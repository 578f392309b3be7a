// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/containerd/errdefs"
)

// TestWire is the wire contract: an agent built elsewhere must be understood.
func TestWire(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer []byte
		want   error // nil with ok, or any error when both are nil
		ok     bool
	}{
		{name: "connected", answer: []byte{0, 'x'}, ok: true},
		{name: "refused", answer: []byte{1}, want: errdefs.ErrUnavailable},
		{name: "nothing", want: io.EOF},
		{name: "something else", answer: []byte{7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sent bytes.Buffer
			in := bytes.NewReader(c.answer)
			err := Request(struct {
				io.Reader
				io.Writer
			}{in, &sent}, 0x1f90)
			if (err == nil) != c.ok || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if got := sent.String(); got != "\x1f\x90" {
				t.Errorf("sent %x", got)
			}
			if c.ok && in.Len() != 1 {
				t.Errorf("%d bytes of the connection are left, want 1", in.Len())
			}
			port, err := ReadPort(&sent)
			if err != nil || port != 8080 {
				t.Errorf("the agent read port %d, %v", port, err)
			}
		})
	}
	for yes, want := range map[bool]string{true: "\x00", false: "\x01"} {
		var sent bytes.Buffer
		if err := Answer(&sent, yes); err != nil || sent.String() != want {
			t.Errorf("%v was sent as %x, %v", yes, sent.String(), err)
		}
	}
}

func TestBrokenStream(t *testing.T) {
	a, b := net.Pipe()
	_ = b.Close()
	if err := Request(a, 1); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("request: %v", err)
	}
	if err := Answer(a, true); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("answer: %v", err)
	}
	if _, err := ReadPort(bytes.NewReader([]byte{1})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a port: %v", err)
	}
}

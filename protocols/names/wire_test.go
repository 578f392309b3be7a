// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/containerd/errdefs"
)

func TestQuestionsAndAnswers(t *testing.T) {
	var wire bytes.Buffer
	questions := []Question{{Number: 1, Message: []byte("q")}, {Number: 1 << 31, TCP: true, Message: make([]byte, 65535)}, {}}
	for _, q := range questions {
		if err := q.Write(&wire); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range questions {
		got, err := ReadQuestion(&wire)
		if err != nil || got.Number != want.Number || got.TCP != want.TCP || !bytes.Equal(got.Message, want.Message) {
			t.Errorf("question %d came as %d with %d bytes, %v", want.Number, got.Number, len(got.Message), err)
		}
	}
	for _, want := range []Answer{{Number: 7, Message: []byte("a")}, {Number: 8}} {
		if err := want.Write(&wire); err != nil {
			t.Fatal(err)
		}
		got, err := ReadAnswer(&wire)
		if err != nil || got.Number != want.Number || !bytes.Equal(got.Message, want.Message) {
			t.Errorf("answer %v came as %v, %v", want, got, err)
		}
	}
	if err := (Answer{Message: make([]byte, 65536)}).Write(&wire); !errdefs.IsInvalidArgument(err) || wire.Len() > 0 {
		t.Errorf("a message that is too long: %v, %d bytes written", err, wire.Len())
	}
}

func TestHalfMessages(t *testing.T) {
	var wire bytes.Buffer
	if err := (Question{Number: 1, Message: []byte("question")}).Write(&wire); err != nil {
		t.Fatal(err)
	}
	whole := wire.Bytes()
	for end := 1; end < len(whole); end++ {
		if _, err := ReadQuestion(bytes.NewReader(whole[:end])); err == nil {
			t.Errorf("%d bytes of %d are a question", end, len(whole))
		}
	}
	if _, err := ReadQuestion(&bytes.Buffer{}); !errors.Is(err, io.EOF) {
		t.Errorf("no question: %v", err)
	}
}

func TestOpen(t *testing.T) {
	server := netip.MustParseAddr("127.0.0.11")
	for _, ok := range []bool{true, false} {
		near, far := net.Pipe()
		go func() {
			if got, err := Take(far); err != nil || got != server {
				t.Errorf("the agent took %v, %v", got, err)
			}
			_ = Confirm(far, ok)
		}()
		if err := Open(near, server); ok != (err == nil) || !ok && !errdefs.IsUnavailable(err) {
			t.Errorf("confirmed %v: %v", ok, err)
		}
		_, _ = near.Close(), far.Close()
	}
	if err := Open(&bytes.Buffer{}, netip.IPv6Loopback()); !errdefs.IsInvalidArgument(err) {
		t.Errorf("IPv6: %v", err)
	}
	near, far := net.Pipe()
	go func() {
		_, _ = Take(far)
		_ = far.Close()
	}()
	if err := Open(near, server); err == nil {
		t.Error("an agent that says nothing has confirmed")
	}
}

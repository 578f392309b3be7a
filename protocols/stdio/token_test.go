// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
)

func TestNewToken(t *testing.T) {
	seen := make(map[Token]bool)
	for range 1000 {
		tok := NewToken()
		if tok == 0 {
			t.Fatal("a token is zero")
		}
		seen[tok] = true
	}
	if len(seen) < 990 {
		t.Errorf("1000 tokens are only %d different ones", len(seen))
	}
}

func TestTokenOnTheWire(t *testing.T) {
	var b bytes.Buffer
	if err := Token(0x01020304).Write(&b); err != nil {
		t.Fatal(err)
	}
	if want := []byte{1, 2, 3, 4}; !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the wire has %v, want %v", b.Bytes(), want)
	}
	b.WriteString("data")
	tok, err := ReadToken(iotest.OneByteReader(&b))
	if err != nil || tok != 0x01020304 {
		t.Errorf("got %#x, %v", uint32(tok), err)
	}
	if b.String() != "data" {
		t.Errorf("%q is left of the stream", b.String())
	}
}

func TestReadTokenErrors(t *testing.T) {
	for in, want := range map[string]error{
		"":             io.EOF,
		"\x01\x02\x03": io.ErrUnexpectedEOF,
		"\x00\x00\x00": io.ErrUnexpectedEOF,
	} {
		if _, err := ReadToken(strings.NewReader(in)); !errors.Is(err, want) {
			t.Errorf("%q gave %v, want %v", in, err, want)
		}
	}
	if _, err := ReadToken(strings.NewReader("\x00\x00\x00\x00")); err == nil ||
		!strings.Contains(err.Error(), "zero is not a token") {
		t.Errorf("a zero token gave %v", err)
	}
}

func TestWriteToBrokenStream(t *testing.T) {
	a, b := net.Pipe()
	_ = b.Close()
	if err := NewToken().Write(a); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

// FuzzReadToken wants every token but zero to come back as it went.
func FuzzReadToken(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 9})
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, in []byte) {
		tok, err := ReadToken(bytes.NewReader(in))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := tok.Write(&out); err != nil || tok == 0 || !bytes.HasPrefix(in, out.Bytes()) {
			t.Fatalf("%x became %#x and %x", in, uint32(tok), out.Bytes())
		}
	})
}

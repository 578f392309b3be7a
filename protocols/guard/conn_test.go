// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/containerd/ttrpc"

	"github.com/katapod/katapod/protocols/agentpb"
)

// rawFrame builds a frame of ttrpc.
func rawFrame(length, stream uint32, kind byte, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(append(b, kind, 0), body...)
}

// answer is a good one.
func answer(stream uint32, body string) []byte {
	return rawFrame(uint32(len(body)), stream, kindResponse, body)
}

// guest is the guest's side of a connection, of which only the reading counts.
type guest struct {
	net.Conn
	io.Reader
}

func (g guest) Read(p []byte) (int, error)  { return g.Reader.Read(p) }
func (g guest) Write(p []byte) (int, error) { return len(p), nil }

// said is a connection on which requests 1 and 3 were made, and the guest says it.
func said(t testing.TB, r io.Reader) *Conn {
	t.Helper()
	c := New(guest{Reader: r})
	for _, part := range [][]byte{rawFrame(5, 1, 1, "hel"), []byte("lo\x00"), rawFrame(0, 3, 1, "")[1:]} {
		if _, err := c.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestAnswersPass(t *testing.T) {
	want := append(answer(3, ""), answer(1, strings.Repeat("x", MaxAnswer))...)
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(want), "byte by byte": iotest.OneByteReader(bytes.NewReader(want)),
	} {
		c := said(t, r)
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d came, %v", name, len(got), len(want), err)
		}
		if len(c.asked) != 0 {
			t.Errorf("%d requests are without an answer", len(c.asked))
		}
	}
}

func TestHostileAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		frame []byte
		want  string
	}{
		"unasked":        {answer(5, "x"), "request 5"},
		"another's":      {answer(2, "x"), "request 2"},
		"a second":       {append(answer(1, "x"), answer(1, "y")...), "request 1"},
		"of gigabytes":   {rawFrame(1<<32-1, 1, kindResponse, ""), "4294967295 bytes"},
		"a bit too long": {rawFrame(MaxAnswer+1, 1, kindResponse, ""), "more than"},
		"a request":      {rawFrame(1, 1, 1, "x"), "type 1"},
		"data":           {rawFrame(1, 1, 3, "x"), "type 3"},
		"text":           {[]byte("login: root, no frame at all"), "type"},
	} {
		for how, reader := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader,
		} {
			good := answer(3, "good")
			conn := said(t, reader(bytes.NewReader(append(good[:len(good):len(good)], c.frame...))))
			got, err := io.ReadAll(conn)
			if !errors.Is(err, ErrHostile) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: error %v, want %q", name, how, err, c.want)
			}
			// What comes before the wrong frame comes through, of that only a part of its header may.
			if !bytes.HasPrefix(append(good[:len(good):len(good)], c.frame...), got) || len(got) < len(good) {
				t.Errorf("%s, %s: %q came through", name, how, got)
			}
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, ErrHostile) {
				t.Errorf("%s, %s: a later read gave %v", name, how, err)
			}
		}
	}
}

func TestUnansweredRequestsAreBounded(t *testing.T) {
	c := New(guest{Reader: strings.NewReader("")})
	for i := range uint32(MaxRequests) {
		if _, err := c.Write(rawFrame(0, 2*i+1, 1, "")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Write(rawFrame(0, 1<<30, 1, "")); !errors.Is(err, ErrHostile) {
		t.Errorf("one request more gave %v", err)
	}
}

// TestClientOfAHostileServer is a real client whose calls all return at the first
// wrong frame.
func TestClientOfAHostileServer(t *testing.T) {
	host, far := net.Pipe()
	defer far.Close()
	go func() {
		_, _ = io.ReadFull(far, make([]byte, headerSize))
		_, _ = far.Write(rawFrame(1<<31, 1, kindResponse, "never all of it"))
		_, _ = io.Copy(io.Discard, far)
	}()
	client := ttrpc.NewClient(New(host))
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	// The client tells its callers no more than that it is closed.
	_, err := agentpb.NewHealthClient(client).Check(ctx, &agentpb.CheckRequest{})
	if err == nil || ctx.Err() != nil {
		t.Errorf("the call ended with %v", err)
	}
}

// FuzzAnswers has a guest say anything, in pieces of any size: what comes through is
// what it said, and holds no frame that was not asked for.
func FuzzAnswers(f *testing.F) {
	f.Add(append(answer(3, "x"), answer(1, "")...), uint8(3))
	f.Add(rawFrame(1<<32-1, 1, kindResponse, ""), uint8(1))
	f.Add(append(answer(1, "x"), answer(1, "x")...), uint8(11))
	f.Add(rawFrame(1, 1, 3, "x"), uint8(0))
	f.Add(answer(1, "\x12\x02\b\x01"), uint8(200)) // as a healthy agent says it
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		c := said(t, &pieces{bytes.NewReader(b), int(size) + 1})
		out, err := io.ReadAll(c)
		if !bytes.HasPrefix(b, out) {
			t.Fatalf("%x came out of %x", out, b)
		}
		if err == nil && len(out) != len(b) {
			t.Fatalf("%d of %d bytes came out, and no error", len(out), len(b))
		}
		whole, rest := 0, out
		for len(rest) >= headerSize {
			length := binary.BigEndian.Uint32(rest)
			if length > MaxAnswer || rest[8] != kindResponse {
				t.Fatalf("the header %x came through", rest[:headerSize])
			}
			whole++
			rest = rest[min(len(rest), headerSize+int(length)):]
		}
		if whole > 2 {
			t.Fatalf("%d answers to two requests came through", whole)
		}
	})
}

// pieces reads at most size bytes at once.
type pieces struct {
	io.Reader
	size int
}

func (p *pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.size)]) }

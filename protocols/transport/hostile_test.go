// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/integration/leaktest"
)

// hostileGuest answers the sync line as it should and then does its worst. It
// reads what the host sends, so that the host is never stuck for that reason.
func hostileGuest(t *testing.T, worst func(w io.Writer, host *bufio.Reader)) *Serial {
	t.Helper()
	checkLeaks(t)
	path := filepath.Join(t.TempDir(), "mux.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		id, err := awaitSync(r, syncHello, "")
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, syncReady+id+"\n")
		worst(c, r)
		_, _ = io.Copy(io.Discard, r)
	}()
	s := NewSerial(path)
	t.Cleanup(func() {
		_ = s.Close()
		_ = l.Close()
		leaktest.Receive(t, done)
	})
	return s
}

// rawFrame builds a frame of the multiplexer.
func rawFrame(version, kind byte, flags uint16, stream, length uint32, body string) []byte {
	b := []byte{version, kind}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	b = binary.BigEndian.AppendUint32(b, length)
	return append(b, body...)
}

// TestHostileFrames wants a session to end with an error that says why.
func TestHostileFrames(t *testing.T) {
	for name, c := range map[string]struct {
		frame []byte
		want  string
	}{
		"a stream of the guest's": {rawFrame(0, frameWindow, flagSYN, 2, 0, ""), "tried to open a stream"},
		"a stream with data":      {rawFrame(0, frameData, flagSYN, 2, 3, "abc"), "tried to open a stream"},
		"a ping":                  {rawFrame(0, 2, flagSYN, 0, 7, ""), "frame of type 2"},
		"a goodbye":               {rawFrame(0, 3, 0, 0, 0, ""), "frame of type 3"},
		"an unknown type":         {rawFrame(0, 9, 0, 0, 0, ""), "frame of type 9"},
		"an unknown version":      {rawFrame(1, 0, 0, 0, 0, ""), "frame of version 1"},
		"a huge frame":            {rawFrame(0, frameData, 0, 1, 1<<31, ""), "more than the window"},
		"a sync line":             {[]byte(syncReady + strings.Repeat("0", idDigits) + "\n"), "new session"},
		"text":                    {[]byte("login: root, no frame at all"), "frame of version"},
	} {
		t.Run(name, func(t *testing.T) {
			s := hostileGuest(t, func(w io.Writer, _ *bufio.Reader) { _, _ = w.Write(c.frame) })
			_, err := s.Dial(testContext(t), 1)
			if !errdefs.IsUnavailable(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestHostileUnknownStream sends frames of streams that don't exist; they are
// dropped and nothing grows.
func TestHostileUnknownStream(t *testing.T) {
	const frames = 10_000
	s := hostileGuest(t, func(w io.Writer, _ *bufio.Reader) {
		for i := range uint32(frames) {
			_, _ = w.Write(rawFrame(0, frameWindow, flagFIN, 1001+2*i, 0, ""))
			_, _ = w.Write(rawFrame(0, frameData, 0, 1001+2*i, 4, "junk"))
		}
		_, _ = w.Write(rawFrame(0, 9, 0, 0, 0, ""))
	})
	if _, err := s.Dial(testContext(t), 1); err == nil || !strings.Contains(err.Error(), "frame of type 9") {
		t.Errorf("got %v", err)
	}
	s.mux.ends.mu.Lock()
	defer s.mux.ends.mu.Unlock()
	if n := len(s.mux.ends.finished); n > 1 {
		t.Errorf("%d streams are noted", n)
	}
}

// TestHostileGreeting answers the CONNECT of the first stream, number 1.
func TestHostileGreeting(t *testing.T) {
	for name, c := range map[string]struct{ answer, want string }{
		"endless": {strings.Repeat("A", 1000), "longer than 64 bytes"},
		"garbage": {"\x00\xff\n", "does not begin"},
		"wrong":   {"OK x\n", "does not end in a port number"},
	} {
		t.Run(name, func(t *testing.T) {
			s := hostileGuest(t, func(w io.Writer, r *bufio.Reader) {
				_, _ = r.Discard(frameHeaderSize) // the host opens its stream
				_, _ = w.Write(rawFrame(0, frameWindow, 2, 1, 0, ""))
				_, _ = w.Write(rawFrame(0, frameData, 0, 1, uint32(len(c.answer)), c.answer))
			})
			if _, err := s.Dial(testContext(t), 1); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestHostileSilence opens a stream and never answers the greeting.
func TestHostileSilence(t *testing.T) {
	s := hostileGuest(t, func(io.Writer, *bufio.Reader) {})
	ctx, cancel := context.WithTimeout(testContext(t), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Dial(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestHostileFlood never sends the sync line.
func TestHostileFlood(t *testing.T) {
	checkLeaks(t)
	dev := newChardev(t)
	s := NewSerial(dev.path)
	t.Cleanup(func() { _ = s.Close() })
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		junk := bytes.Repeat([]byte("junk\n"), 10_000)
		for {
			if _, err := dev.Write(junk); err != nil {
				return
			}
		}
	}()
	_, err := s.Dial(testContext(t), 1)
	if !errors.Is(err, errNoSync) {
		t.Errorf("got %v", err)
	}
	dev.hangUp()
	_ = dev.SetDeadline(time.Unix(1, 0))
	leaktest.Receive(t, flooded)
}

// FuzzFrames feeds the host's frame reader, which must pass on exactly what it
// got, up to the first frame it refuses.
func FuzzFrames(f *testing.F) {
	f.Add(rawFrame(0, frameData, 0, 1, 3, "abc"))
	f.Add(append(rawFrame(0, frameWindow, flagFIN, 1, 9, ""), rawFrame(0, frameData, 0, 1, 0, "")...))
	f.Add(rawFrame(0, frameData, 0, 1, 1<<31, ""))
	f.Add([]byte(syncReady))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &frameReader{r: bufio.NewReaderSize(bytes.NewReader(b), 32), inspect: fromGuest}
		out, err := io.ReadAll(r)
		if !bytes.HasPrefix(b, out) {
			t.Fatalf("%x came out of %x", out, b)
		}
		if err == nil && len(out)+frameHeaderSize <= len(b) {
			t.Fatalf("%d of %d bytes came out, and no error", len(out), len(b))
		}
	})
}

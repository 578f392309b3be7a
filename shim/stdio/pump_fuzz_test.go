// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"github.com/containerd/log"
)

// FuzzOutput has a guest say anything on an output, in pieces, and break off or end:
// what it said is with the engine, which is told of the end.
func FuzzOutput(f *testing.F) {
	f.Add([]byte("hello\n"), uint16(3), false)
	f.Add(bytes.Repeat([]byte{0}, 2*chunk), uint16(chunk-1), true)
	f.Add([]byte(""), uint16(0), true)
	f.Fuzz(func(t *testing.T, said []byte, size uint16, breaks bool) {
		var r io.Reader = &pieces{bytes.NewReader(said), int(size) + 1}
		if breaks {
			r = iotest.TimeoutReader(r) // its second read fails
		}
		var engine engineSide
		l := log.G(t.Context())
		l.Logger.SetOutput(io.Discard)
		p := startPump(&engine, io.NopCloser(r), l)
		p.drain()
		<-p.done
		if !bytes.HasPrefix(said, engine.Bytes()) || !breaks && engine.Len() != len(said) || !engine.closed {
			t.Fatalf("the engine has %d of %d bytes, its end %v", engine.Len(), len(said), engine.closed)
		}
	})
}

// pieces reads at most size bytes at once.
type pieces struct {
	io.Reader
	size int
}

func (p *pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.size)]) }

// FuzzNames has an engine name anything for a stream. Nothing is opened.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"", "/run/fifo", "fifo:///a", "file:///var/log/x", "binary:///usr/bin/logger?id=a&b=%20", "http://x", "binary://", "fifo://%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := parse(name)
		if err != nil {
			return
		}
		switch got.scheme {
		case schemeFIFO, schemeFile, schemeBinary:
		default:
			t.Fatalf("%q has the scheme %q", name, got.scheme)
		}
		if got.scheme != schemeFIFO && got.path == "" {
			t.Fatalf("%q has no path", name)
		}
	})
}

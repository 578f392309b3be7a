// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// pieces keeps what each Write got.
type pieces struct{ all [][]byte }

func (p *pieces) Write(b []byte) (int, error) {
	p.all = append(p.all, bytes.Clone(b))
	return len(b), nil
}

func dataHeader(body int) []byte {
	h := make([]byte, frameHeaderSize)
	binary.BigEndian.PutUint32(h[4:], 1)
	binary.BigEndian.PutUint32(h[8:], uint32(body))
	return h
}

func TestFramesAreWrittenInOnePiece(t *testing.T) {
	for _, c := range []struct{ body, writes int }{
		{0, 1}, {1, 1}, {4 << 10, 1}, {JoinedBody, 1}, {JoinedBody + 1, 2}, {windowSize, 2},
	} {
		to := &pieces{}
		w := &frameWriter{w: to}
		want := append(dataHeader(c.body), bytes.Repeat([]byte("x"), c.body)...)
		for _, part := range [][]byte{want[:frameHeaderSize], want[frameHeaderSize:]} {
			if len(part) == 0 {
				continue
			}
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatalf("a body of %d bytes: Write returned %d, %v", c.body, n, err)
			}
		}
		if len(to.all) != c.writes {
			t.Errorf("a body of %d bytes took %d writes, want %d", c.body, len(to.all), c.writes)
		}
		if got := bytes.Join(to.all, nil); !bytes.Equal(got, want) {
			t.Errorf("a body of %d bytes arrived as %d bytes, want %d", c.body, len(got), len(want))
		}
	}
}

// TestPortTakesWholePieces: the kernel's virtio-serial port takes 32 KiB at once.
func TestPortTakesWholePieces(t *testing.T) {
	if (frameHeaderSize+JoinedBody)%(32<<10) != 0 {
		t.Errorf("a frame of %d bytes leaves a rest for a write of its own", frameHeaderSize+JoinedBody)
	}
}

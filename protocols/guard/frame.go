// SPDX-License-Identifier: Apache-2.0

package guard

import "encoding/binary"

// A ttrpc frame is a header and a body, as PROTOCOL.md of containerd/ttrpc numbers
// them: length of the body (4 bytes), stream (4), type (1), flags (1).
const (
	headerSize   = 10
	kindResponse = 2
)

// frame is the header of one frame.
type frame struct {
	length, stream uint32
	kind           byte
}

// frames finds the frames in one direction of a connection. The zero value begins
// with a header.
type frames struct {
	header [headerSize]byte
	have   int    // bytes of the header that have come
	left   uint32 // bytes of the body that are to come
}

// scan goes through the bytes that come next and calls inspect with each header that
// is complete. It returns how many bytes come before a frame that inspect refuses,
// without what of its header is among them, and that refusal.
func (f *frames) scan(p []byte, inspect func(frame) error) (good int, err error) {
	for at := 0; at < len(p); {
		if f.left > 0 {
			n := int(min(int64(f.left), int64(len(p)-at)))
			f.left -= uint32(n)
			at += n
			good = at
			continue
		}
		n := copy(f.header[f.have:], p[at:])
		f.have += n
		at += n
		if f.have < headerSize {
			break
		}
		f.have = 0
		h := frame{
			length: binary.BigEndian.Uint32(f.header[0:4]),
			stream: binary.BigEndian.Uint32(f.header[4:8]),
			kind:   f.header[8],
		}
		if err := inspect(h); err != nil {
			return good, err
		}
		f.left = h.length
		good = at
	}
	return len(p), nil
}

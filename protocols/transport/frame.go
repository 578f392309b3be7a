// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The multiplexer's frames, as the specification in yamux's spec.md numbers
// them. They are looked at here for three reasons: a hostile guest must not
// make the host's end allocate without bound, a new session's sync line must
// be told from a frame, and a stream's proper end must be told from the death
// of the session.
const (
	frameHeaderSize = 12

	frameVersion = 0
	frameData    = 0
	frameWindow  = 1

	flagSYN = 1
	flagFIN = 4
)

// errNewSession says that a sync line stands where a frame should begin.
var errNewSession = errors.New("the host began a new session")

// frame is the header of one frame.
type frame struct {
	version, kind  byte
	flags          uint16
	stream, length uint32
}

func parseFrame(b []byte) frame {
	return frame{
		version: b[0],
		kind:    b[1],
		flags:   binary.BigEndian.Uint16(b[2:4]),
		stream:  binary.BigEndian.Uint32(b[4:8]),
		length:  binary.BigEndian.Uint32(b[8:12]),
	}
}

// body is the number of bytes that follow the header.
func (f frame) body() int {
	if f.kind != frameData {
		return 0
	}
	return int(f.length)
}

// frameReader passes frames on unchanged after inspect has seen the header.
type frameReader struct {
	r       *bufio.Reader
	left    int // bytes of the current frame not passed on yet
	inspect func(frame) error
}

// Read implements io.Reader. No call returns bytes of two frames.
func (f *frameReader) Read(p []byte) (int, error) {
	if f.left == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n, err := f.r.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

// next looks at the header of the frame that begins here.
func (f *frameReader) next() error {
	first, err := f.r.Peek(1)
	if err != nil {
		return err
	}
	if first[0] == syncMagic[0] {
		return errNewSession
	}
	head, err := f.r.Peek(frameHeaderSize)
	if err != nil {
		return err
	}
	h := parseFrame(head)
	if err := f.inspect(h); err != nil {
		return err
	}
	f.left = frameHeaderSize + h.body()
	return nil
}

// fromGuest is what a host takes from a guest: data and window frames of
// streams the host opened. A guest that opens streams, pings or says goodbye
// could make the host hold memory or goroutines, and has no need to.
func fromGuest(f frame) error {
	switch {
	case f.version != frameVersion:
		return fmt.Errorf("the guest sent a frame of version %d", f.version)
	case f.kind != frameData && f.kind != frameWindow:
		return fmt.Errorf("the guest sent a frame of type %d", f.kind)
	case f.flags&flagSYN != 0:
		return errors.New("the guest tried to open a stream to the host")
	case f.body() > windowSize:
		return fmt.Errorf("the guest sent a frame of %d bytes, more than the window", f.length)
	}
	return nil
}

// frameWriter joins a data frame's header with its body: the multiplexer writes
// them apart, and every write to a virtio-serial port is an exit of the VM, which
// costs more than a copy.
type frameWriter struct {
	w    io.Writer
	held []byte
}

// maxJoined bounds a joined frame, and with it what a session keeps to join them.
const maxJoined = 64 << 10

// JoinedBody is the longest write to a stream that goes to the port in one piece,
// with its header.
const JoinedBody = maxJoined - frameHeaderSize

// Write implements io.Writer. A data frame's header is kept for the Write of
// its body, which follows at once.
func (f *frameWriter) Write(p []byte) (int, error) {
	if len(f.held) == 0 {
		if len(p) == frameHeaderSize && parseFrame(p).body() > 0 {
			f.held = append(f.held, p...)
			return len(p), nil
		}
		return f.w.Write(p)
	}
	if len(f.held)+len(p) <= maxJoined {
		f.held = append(f.held, p...)
		p = p[len(p):]
	}
	total := len(f.held) + len(p) - frameHeaderSize
	_, err := f.w.Write(f.held)
	f.held = f.held[:0]
	if err == nil && len(p) > 0 {
		_, err = f.w.Write(p)
	}
	if err != nil {
		return 0, err
	}
	return total, nil
}

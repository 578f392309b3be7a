// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"io"
	"sync"
	"time"
)

// sleepers are the streams of a session, whose readers and writers may be asleep in
// the multiplexer. When a session ends, it wakes them before it ends their streams,
// and until then they look again and again whether their stream has ended: a
// thousand of them keep the one goroutine that would end it from running for
// minutes. Deadlines in the past have them return instead, so those are set as soon
// as the session is known to end. The zero value is ready.
type sleepers struct {
	// mu guards what follows.
	mu      sync.Mutex
	over    bool
	streams map[*stream]struct{}
}

// add makes a stream known.
func (s *sleepers) add(st *stream) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams == nil {
		s.streams = make(map[*stream]struct{})
	}
	s.streams[st] = struct{}{}
	if s.over {
		st.expire()
	}
	return st
}

func (s *sleepers) remove(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
}

// wake is called when the session is about to end, maybe more than once.
func (s *sleepers) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for st := range s.streams {
		st.expire()
	}
}

// rouse sets the deadlines of a stream again, after somebody else has set them.
func (s *sleepers) rouse(st *stream) {
	if s.isOver() {
		st.expire()
	}
}

// isOver tells whether the session has ended or is just about to.
func (s *sleepers) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// expire has every read without data and every write return.
func (s *stream) expire() {
	past := time.Unix(1, 0)
	_ = s.y.SetReadDeadline(past)
	_ = s.y.SetWriteDeadline(past)
}

// read wakes the sleepers when r fails, which is the end of the session.
func (s *sleepers) read(r io.Reader) io.Reader { return failing{s, r.Read} }

// write is the same for w.
func (s *sleepers) write(w io.Writer) io.Writer { return failing{s, w.Write} }

// failing calls do and watches its errors.
type failing struct {
	sleepers *sleepers
	do       func([]byte) (int, error)
}

func (f failing) Read(p []byte) (int, error)  { return f.call(p) }
func (f failing) Write(p []byte) (int, error) { return f.call(p) }

func (f failing) call(p []byte) (int, error) {
	n, err := f.do(p)
	if err != nil {
		f.sleepers.wake()
	}
	return n, err
}

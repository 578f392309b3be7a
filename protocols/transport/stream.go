// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// stream is one stream of a mux. The multiplexer's own Close ends the direction
// away from the caller only, and keeps the stream until the other side ends
// its direction too; so that call is CloseWrite here, and Close besides takes
// and drops what still comes.
type stream struct {
	y             *yamux.Stream
	mux           *mux
	local, remote Addr

	reading sync.Mutex // held during a read
	fin     sync.Once

	// mu guards what follows.
	mu          sync.Mutex
	closed      bool
	writeClosed bool
}

var _ halfCloser = (*stream)(nil)

// Read implements net.Conn. A stream whose session died gives the cause, never
// a plain end of file.
func (s *stream) Read(p []byte) (int, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.isClosed() {
		return 0, net.ErrClosed
	}
	n, err := s.y.Read(p)
	if err == nil {
		return n, nil
	}
	if s.isClosed() {
		return n, net.ErrClosed
	}
	if errors.Is(err, io.EOF) && s.mux.ends.isFinished(s.y.StreamID()) {
		return n, io.EOF
	}
	return n, s.mux.explain(err)
}

// Write implements net.Conn. A write deadline counts only while the other end
// does not read; it does not while the VM takes no bytes at all.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	over := s.closed || s.writeClosed
	s.mu.Unlock()
	if over {
		return 0, net.ErrClosed
	}
	n, err := s.y.Write(p)
	if err == nil {
		return n, nil
	}
	if s.isClosed() || errors.Is(err, yamux.ErrStreamClosed) && !s.mux.session.IsClosed() {
		return n, net.ErrClosed
	}
	return n, s.mux.explain(err)
}

// CloseWrite ends the direction away from the caller: the other side reads an
// end of file after what was written. Reads go on.
func (s *stream) CloseWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	if !s.writeClosed {
		s.writeClosed = true
		// It ends when the frame is sent, or with the session.
		go s.finish()
	}
	return nil
}

// Close implements net.Conn. It returns at once, even when the VM takes no
// bytes; blocked reads and writes return net.ErrClosed.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	past := time.Unix(1, 0)
	_ = s.y.SetReadDeadline(past)
	_ = s.y.SetWriteDeadline(past)
	// It ends when the frame is sent, or with the session.
	go s.release()
	return nil
}

// finish tells the other side that no more bytes come.
func (s *stream) finish() {
	s.fin.Do(func() { _ = s.y.Close() })
}

// release lets the multiplexer forget the stream, which it does when both sides
// have ended their direction. The end of the session ends this too.
func (s *stream) release() {
	s.mux.linger()
	s.finish()
	s.reading.Lock()
	defer s.reading.Unlock()
	_ = s.y.SetReadDeadline(time.Time{})
	s.mux.open.rouse(s)
	for dropped := make([]byte, 2<<10); ; {
		if _, err := s.y.Read(dropped); err != nil {
			break
		}
		s.y.Shrink() // or what it took in once would stay as long as the stream
	}
	s.mux.ends.forget(s.y.StreamID())
	s.mux.open.remove(s)
	s.mux.lingering.Add(-1)
}

func (s *stream) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// LocalAddr implements net.Conn.
func (s *stream) LocalAddr() net.Addr { return s.local }

// RemoteAddr implements net.Conn.
func (s *stream) RemoteAddr() net.Addr { return s.remote }

// SetDeadline implements net.Conn.
func (s *stream) SetDeadline(t time.Time) error {
	return s.setDeadlines(t, s.y.SetDeadline)
}

// SetReadDeadline implements net.Conn.
func (s *stream) SetReadDeadline(t time.Time) error {
	return s.setDeadlines(t, s.y.SetReadDeadline)
}

// SetWriteDeadline implements net.Conn.
func (s *stream) SetWriteDeadline(t time.Time) error {
	return s.setDeadlines(t, s.y.SetWriteDeadline)
}

// setDeadlines leaves a closed stream alone, whose deadlines Close uses.
func (s *stream) setDeadlines(t time.Time, set func(time.Time) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	err := set(t)
	s.mux.open.rouse(s)
	return err
}

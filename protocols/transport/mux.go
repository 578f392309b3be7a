// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/hashicorp/yamux"
)

const (
	// windowSize is how much one stream may have under way, in bytes. At the
	// 200 µs round trip of a virtio-serial port it allows over 1 GB/s, and it
	// bounds what a guest can make the host hold per stream.
	windowSize = 256 << 10
	// maxLingering is how many streams a guest may leave open that the host has
	// closed, each of which costs some 16 KiB. An honest one leaves the outputs of
	// processes that run on and whose reader has gone.
	maxLingering = 1024
	// bufferSize is the read buffer of a session, in bytes.
	bufferSize = 64 << 10
	// never stands for "no time-out" where the multiplexer wants a number: a
	// paused VM takes no bytes and is not dead.
	never = 10 * 365 * 24 * time.Hour
)

// muxConfig switches off whatever acts on a clock.
func muxConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	c.EnableKeepAlive = false
	c.ConnectionWriteTimeout = never
	c.StreamOpenTimeout = 0
	c.StreamCloseTimeout = 0
	c.MaxStreamWindowSize = windowSize
	c.LogOutput = io.Discard // failures come back as the session's cause
	return c
}

// link is the connection below a session.
type link struct {
	io.Reader
	io.Writer
	io.Closer
}

// errGone says that the connection below a session ended.
var errGone = errors.New("the other end closed it")

// mux is one session of streams over one connection.
type mux struct {
	session *yamux.Session
	ends    ends
	open    sleepers
	// done is closed when the session is over and cause says why.
	done  chan struct{}
	cause error

	// lingering streams are closed here and not yet by the other end. More than
	// maxLingering, unless that is 0, end the session.
	maxLingering int64
	lingering    atomic.Int64
	endless      atomic.Bool // that is why it ended
}

// newHostMux starts the host's end of a session on a connection whose sync
// line has passed.
func newHostMux(r *bufio.Reader, conn io.ReadWriteCloser) (*mux, error) {
	m := &mux{done: make(chan struct{}), maxLingering: maxLingering}
	l := link{m.open.read(&frameReader{r: r, inspect: m.fromGuest}), m.open.write(&frameWriter{w: conn}), conn}
	var err error
	if m.session, err = yamux.Client(l, muxConfig()); err != nil {
		return nil, fmt.Errorf("start the multiplexer: %w", err)
	}
	// It is the mux's, and ends with its session.
	go func() {
		// The guest can't open streams, so this returns with the session's end.
		_, err := m.session.AcceptStream()
		m.end(err)
	}()
	return m, nil
}

// newGuestMux starts the guest's end. Its owner must call accept until that
// fails, and then end.
func newGuestMux(r *bufio.Reader, conn io.WriteCloser) (*mux, error) {
	m := &mux{done: make(chan struct{})}
	l := link{m.open.read(&frameReader{r: r, inspect: m.fromHost}), m.open.write(&frameWriter{w: conn}), conn}
	var err error
	if m.session, err = yamux.Server(l, muxConfig()); err != nil {
		return nil, fmt.Errorf("start the multiplexer: %w", err)
	}
	return m, nil
}

func (m *mux) fromGuest(f frame) error {
	if err := fromGuest(f); err != nil {
		return err
	}
	if f.flags&flagFIN != 0 {
		m.ends.finish(f.stream)
	}
	return nil
}

func (m *mux) fromHost(f frame) error {
	if f.flags&flagSYN != 0 {
		m.ends.begin(f.stream)
	}
	if f.flags&flagFIN != 0 {
		m.ends.finish(f.stream)
	}
	return nil
}

// dial starts a stream from the host. It blocks while the guest takes no bytes.
func (m *mux) dial(port uint32) (*stream, error) {
	y, err := m.session.OpenStream()
	if err != nil {
		return nil, m.explain(err)
	}
	m.ends.begin(y.StreamID())
	return m.open.add(&stream{y: y, mux: m, local: Addr{Host: true}, remote: Addr{Port: port}}), nil
}

// accept waits for a stream from the host.
func (m *mux) accept() (*stream, error) {
	y, err := m.session.AcceptStream()
	if err != nil {
		return nil, err
	}
	return m.open.add(&stream{y: y, mux: m, remote: Addr{Host: true}}), nil
}

// end records why the session is over.
func (m *mux) end(cause error) {
	switch {
	case m.endless.Load():
		cause = fmt.Errorf("the guest did not end %d streams that were closed", m.maxLingering)
	case errors.Is(cause, io.EOF):
		// Nobody may take the loss of all streams for the end of one.
		cause = errGone
	case errors.Is(cause, yamux.ErrSessionShutdown):
		cause = net.ErrClosed // it was this end that closed
	}
	m.cause = fmt.Errorf("the connection between host and guest is lost: %w: %w",
		errdefs.ErrUnavailable, cause)
	close(m.done)
}

// explain replaces an error that the end of the session gave by its cause.
func (m *mux) explain(err error) error {
	if !m.session.IsClosed() && !m.open.isOver() {
		return err
	}
	<-m.done
	return m.cause
}

// linger counts a stream that only this end has closed. A guest that never ends its
// direction of any would make the host remember them all.
func (m *mux) linger() {
	if n := m.lingering.Add(1); m.maxLingering > 0 && n > m.maxLingering && m.endless.CompareAndSwap(false, true) {
		go m.close() // it waits for those that may hold what this caller does
	}
}

// close ends the session and every stream.
func (m *mux) close() {
	m.open.wake()
	_ = m.session.Close()
}

// ends remembers which streams the other side has properly ended. The
// multiplexer itself reports the same end of file for a session that died.
type ends struct {
	// mu guards what follows.
	mu       sync.Mutex
	finished map[uint32]bool
}

// begin makes a stream known.
func (e *ends) begin(id uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.finished == nil {
		e.finished = make(map[uint32]bool)
	}
	if _, known := e.finished[id]; !known {
		e.finished[id] = false
	}
}

// finish notes the other side's end of a known stream; unknown ones don't count.
func (e *ends) finish(id uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, known := e.finished[id]; known {
		e.finished[id] = true
	}
}

func (e *ends) isFinished(id uint32) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.finished[id]
}

func (e *ends) forget(id uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.finished, id)
}

// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/containerd/errdefs"
)

// SerialPortName is the name of the virtio-serial port that carries the streams
// of [Serial]; the guest finds its device by it.
const SerialPortName = "katapod.mux"

// Serial dials guest ports over one virtio-serial port, whose host end is a
// unix socket of the VMM. It connects with the first Dial, and once: when the
// connection is lost, every stream and every later Dial fails with the cause.
type Serial struct {
	path string
	stop chan struct{} // closed by Close
	once sync.Once

	// ready is closed when mux or err is set.
	ready chan struct{}
	mux   *mux
	err   error
	phase atomic.Pointer[string]

	closeOnce sync.Once
}

// NewSerial returns a dialer for the VMM's unix socket at path. The socket need
// not exist yet, nor the guest run.
func NewSerial(path string) *Serial {
	return &Serial{path: path, stop: make(chan struct{}), ready: make(chan struct{})}
}

// Dial implements [Dialer]. The stream's Close discards what the guest still
// sends until the guest ends its direction.
func (s *Serial) Dial(ctx context.Context, port uint32) (net.Conn, error) {
	// It is the carrier's: it ends when the guest is there, or with Close.
	s.once.Do(func() { go s.connect() })
	select {
	case <-s.ready:
	case <-ctx.Done():
		return nil, fmt.Errorf("dial guest port %d: %w", port, s.notReady(context.Cause(ctx)))
	}
	if s.err != nil {
		return nil, fmt.Errorf("dial guest port %d: %w", port, s.err)
	}
	return untilListening(ctx, port, func() (net.Conn, error) { return s.try(ctx, port) })
}

// Close implements [Dialer].
func (s *Serial) Close() error {
	s.closeOnce.Do(func() { close(s.stop) })
	s.once.Do(func() { // never dialled
		s.err = net.ErrClosed
		close(s.ready)
	})
	<-s.ready
	if s.mux != nil {
		s.mux.close()
		<-s.mux.done
	}
	return nil
}

// connect makes the one session of this dialer. It lives longer than the Dial
// that began it, since others wait for it too; Close ends it.
func (s *Serial) connect() {
	defer close(s.ready)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	finished := make(chan struct{})
	defer close(finished)
	// It ends with the call.
	go func() {
		select {
		case <-s.stop:
			cancel(net.ErrClosed)
		case <-finished:
		}
	}()
	s.note("the VMM has not opened the port's socket " + s.path)
	conn, err := dialUnix(ctx, s.path)
	if err != nil {
		s.err = err
		return
	}
	s.note("the guest has not answered on the port behind " + s.path)
	if s.mux, err = handshake(ctx, conn); err != nil {
		_ = conn.Close()
		s.err = fmt.Errorf("reach the guest through %s: %w: %w", s.path, errdefs.ErrUnavailable, err)
	}
}

// handshake exchanges sync lines and starts the session. The guest may take as
// long as it likes: the VMM keeps the line until the guest opens the port.
func handshake(ctx context.Context, conn net.Conn) (*mux, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	id := newSessionID()
	if _, err := io.WriteString(conn, syncHello+id+"\n"); err != nil {
		return nil, fmt.Errorf("begin a session: %w", err)
	}
	r := bufio.NewReaderSize(conn, bufferSize)
	if _, err := awaitSync(r, syncReady, id); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		if errors.Is(err, io.EOF) {
			err = errors.New("the VMM closed the port before the guest answered")
		}
		return nil, err
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	return newHostMux(r, conn)
}

// try opens and greets one stream.
func (s *Serial) try(ctx context.Context, port uint32) (net.Conn, error) {
	type result struct {
		stream *stream
		err    error
	}
	done := make(chan result)
	// On its own goroutine, because opening blocks while the VM takes no bytes. It ends
	// when the VM takes them, or with the session.
	go func() {
		st, err := openGreeted(ctx, s.mux, port)
		select {
		case done <- result{st, err}:
		case <-ctx.Done():
			if st != nil {
				_ = st.Close()
			}
		}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, r.err
		}
		return r.stream, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("the guest did not answer: %w", context.Cause(ctx))
	}
}

// openGreeted opens a stream to a guest port. The end of ctx closes it.
func openGreeted(ctx context.Context, m *mux, port uint32) (*stream, error) {
	st, err := m.dial(port)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = st.Close() })
	if err := greet(st, port); err != nil {
		_ = st.Close()
		return nil, err
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	return st, nil
}

// note says what the dialer waits for.
func (s *Serial) note(phase string) { s.phase.Store(&phase) }

func (s *Serial) notReady(cause error) error {
	if p := s.phase.Load(); p != nil {
		return fmt.Errorf("%s: %w", *p, cause)
	}
	return cause
}

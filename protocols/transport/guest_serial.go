// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// serialPort is the guest's end of the port: a file, or in tests a socket.
type serialPort interface {
	io.ReadWriter
	SetDeadline(time.Time) error
}

// ServeSerial serves the streams of a virtio-serial port until ctx ends, whose
// cause it returns. An empty path stands for the port named [SerialPortName],
// which is waited for. The host may go and come back: each time it begins a
// session, the streams of the session before break.
func (g *Guest) ServeSerial(ctx context.Context, path string) error {
	if path == "" {
		var err error
		if path, err = awaitSerialPort(ctx, SerialPortName); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open the virtio-serial port that leads to the host: %w", err)
	}
	defer f.Close()
	return g.serveSerial(ctx, serialFile{f})
}

// serialFile is the device of the port.
type serialFile struct{ *os.File }

// await is a read that waits while no host is connected. The kernel answers such
// a read at once, with nothing, but wakes those that poll when the host comes and
// when it sends; the Go runtime polls for edges, so that it sleeps until then.
func (f serialFile) await(b []byte) (n int, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = conn.Read(func(fd uintptr) bool {
		for {
			n, failed = unix.Read(int(fd), b)
			if !errors.Is(failed, unix.EINTR) {
				break
			}
		}
		return n > 0 || failed != nil && !errors.Is(failed, unix.EAGAIN)
	})
	if err == nil {
		err = failed
	}
	return max(n, 0), err
}

func (g *Guest) serveSerial(ctx context.Context, port serialPort) error {
	past := time.Unix(1, 0)
	stop := context.AfterFunc(ctx, func() { _ = port.SetDeadline(past) })
	defer stop()
	r := bufio.NewReaderSize(&patientReader{ctx: ctx, r: port, away: true}, bufferSize)
	for {
		id, err := awaitSync(r, syncHello, "")
		switch {
		case err == nil:
			err = g.session(ctx, port, r, id)
			g.report(fmt.Errorf("a session with the host ended: %w", err))
		case errors.Is(err, errNoSync):
			g.report(fmt.Errorf("wait for the host on the virtio-serial port: %w", err))
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
			// What the session before left behind; wait for the next one.
		default:
			if ctx.Err() == nil {
				return fmt.Errorf("read from the virtio-serial port: %w", err)
			}
		}
		// The session has set a deadline in the past, and perhaps ctx has.
		if err := port.SetDeadline(time.Time{}); err != nil {
			return fmt.Errorf("serve the virtio-serial port: %w", err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// session answers a sync line and serves streams until the session is over,
// for which it always returns the cause.
func (g *Guest) session(ctx context.Context, port serialPort, r *bufio.Reader, id string) error {
	if _, err := io.WriteString(port, syncReady+id+"\n"); err != nil {
		return err
	}
	m, err := newGuestMux(r, sessionLink{port})
	if err != nil {
		return err
	}
	defer m.close()
	defer context.AfterFunc(ctx, m.close)()
	for {
		s, err := m.accept()
		if err != nil {
			m.close() // so that all its goroutines have left the port
			m.end(err)
			return err
		}
		// It owns the stream until a listener has it, and ends with it.
		go g.take(m, s)
	}
}

// take greets a stream and hands it to the port's listener.
func (g *Guest) take(m *mux, s *stream) {
	port, err := readConnect(s)
	if err != nil {
		g.report(err)
		_ = s.Close()
		return
	}
	s.local = Addr{Port: port}
	l := g.lookup(port)
	if l == nil { // the end without an answer refuses
		_ = s.Close()
		return
	}
	if err := writeLine(s, verbOK, port); err != nil {
		g.report(fmt.Errorf("answer the greeting for port %d: %w", port, err))
		_ = s.Close()
		return
	}
	l.deliver(s, m.done)
}

// sessionLink is the writing end of a session. Closing it makes reads and
// writes of the port return, but leaves the port open for the next session:
// closing the device would drop what the host has already sent.
type sessionLink struct {
	port serialPort
}

func (l sessionLink) Write(p []byte) (int, error) { return l.port.Write(p) }

func (l sessionLink) Close() error { return l.port.SetDeadline(time.Unix(1, 0)) }

// patientReader turns the reads of zero bytes that a virtio-serial port gives
// while no host is connected into waiting. The first such read after data is
// passed on, since it ends a session. A reader that can wait by itself is a
// waiter; another is asked again and again.
type patientReader struct {
	ctx  context.Context
	r    io.Reader
	away bool
	wait backoff
}

// waiter is a reader that can wait for a host that is away.
type waiter interface {
	await(b []byte) (int, error)
}

func (p *patientReader) Read(b []byte) (int, error) {
	if w, ok := p.r.(waiter); ok && p.away {
		n, err := w.await(b)
		p.away = n == 0
		return n, err
	}
	for {
		n, err := p.r.Read(b)
		if n > 0 {
			p.away, p.wait = false, backoff{}
			return n, err
		}
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		if !p.away {
			p.away = true
			return 0, err
		}
		if cause := p.wait.wait(p.ctx); cause != nil {
			return 0, cause
		}
	}
}

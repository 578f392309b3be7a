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
	return g.serveSerial(ctx, f)
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
// passed on, since it ends a session.
type patientReader struct {
	ctx  context.Context
	r    io.Reader
	away bool
	wait backoff
}

func (p *patientReader) Read(b []byte) (int, error) {
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

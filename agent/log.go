// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
)

// setLog makes the agent log to w, one line of key=value pairs per event.
func setLog(w io.Writer, level slog.Level) {
	slog.SetDefault(slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})))
}

// maxPending bounds the lines that wait for one reader of the log.
const maxPending = 256

// logPort gives the log's lines to whoever is connected. A reader that does not
// keep up loses lines; the agent never waits for one.
type logPort struct {
	// mu guards the readers.
	mu      sync.Mutex
	readers map[chan []byte]struct{}
}

func newLogPort() *logPort { return &logPort{readers: map[chan []byte]struct{}{}} }

// Write takes one line.
func (p *logPort) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r := range p.readers {
		select {
		case r <- append([]byte(nil), line...):
		default:
		}
	}
	return len(line), nil
}

// serve accepts readers until the listener closes, which it does when ctx ends.
func (p *logPort) serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept a reader of the log: %w", err)
		}
		// It owns the connection, and ends with it or with ctx.
		go p.feed(ctx, conn)
	}
}

func (p *logPort) feed(ctx context.Context, conn net.Conn) {
	lines := make(chan []byte, maxPending)
	p.mu.Lock()
	p.readers[lines] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.readers, lines)
		p.mu.Unlock()
		_ = conn.Close()
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case line := <-lines:
			if _, err := conn.Write(line); err != nil {
				return
			}
		}
	}
}

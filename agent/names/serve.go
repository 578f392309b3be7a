// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/katapod/katapod/protocols/names"
)

const (
	// addressTimeout bounds how long a stream may stay without its address.
	addressTimeout = 10 * time.Second
	// maxOpen bounds the questions that wait for an answer; further ones are
	// dropped, as a server with too much to do would.
	maxOpen = 256
	// idleTimeout ends a TCP connection on which nothing is asked.
	idleTimeout = 30 * time.Second
)

// Serve accepts streams and answers for the name server that each names, until
// the listener closes, which it does when ctx ends.
func Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		stream, err := l.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept a stream of questions for names: %w", err)
		}
		// It owns the stream, and ends with it or with ctx.
		go func() {
			if err := serve(ctx, stream); err != nil {
				slog.Warn("names of the host's side are not answered any more", "error", err)
			}
		}()
	}
}

// serve owns one stream. The end of the stream is no error.
func serve(ctx context.Context, stream net.Conn) error {
	defer func() { _ = stream.Close() }()
	defer context.AfterFunc(ctx, func() { _ = stream.Close() })()
	_ = stream.SetReadDeadline(time.Now().Add(addressTimeout))
	server, err := names.Take(stream)
	if err != nil {
		return err
	}
	_ = stream.SetReadDeadline(time.Time{})
	reply, err := newReplier(server)
	if err != nil {
		return errors.Join(err, names.Confirm(stream, false))
	}
	defer func() { _ = reply.close() }()
	taken, err := take(server)
	if err != nil {
		return errors.Join(err, names.Confirm(stream, false))
	}
	if err := names.Confirm(stream, true); err != nil {
		return errors.Join(err, taken.close())
	}
	(&asker{stream: stream, open: map[uint32]func([]byte){}}).run(ctx, taken, reply)
	return nil
}

// run answers until the stream ends, and gives the sockets up.
func (a *asker) run(ctx context.Context, taken *sockets, reply *replier) {
	ctx, cancel := context.WithCancel(ctx)
	var listening sync.WaitGroup
	listening.Go(func() { a.overUDP(taken.udp, reply) })
	listening.Go(func() { a.overTCP(ctx, taken.tcp, &listening) })
	a.answers()
	cancel()
	if err := taken.close(); err != nil {
		slog.Warn("a name server's address is not given up", "server", taken.server, "error", err)
	}
	listening.Wait()
}

// asker numbers questions and finds whom an answer is for.
type asker struct {
	stream net.Conn
	// sending is held while one question is written, so that none is cut by another.
	sending sync.Mutex

	// mu guards what follows. It is not held while anything is written.
	mu   sync.Mutex
	last uint32
	open map[uint32]func(answer []byte) // nil when there are no more answers
}

// ask sends a question. then is called once, with nothing when there is no
// answer.
func (a *asker) ask(tcp bool, message []byte, then func(answer []byte)) {
	a.mu.Lock()
	if a.open == nil || len(a.open) >= maxOpen {
		a.mu.Unlock()
		then(nil)
		return
	}
	a.last++
	number := a.last
	a.open[number] = then
	a.mu.Unlock()
	a.sending.Lock()
	defer a.sending.Unlock()
	if err := (names.Question{Number: number, TCP: tcp, Message: message}).Write(a.stream); err != nil {
		_ = a.stream.Close() // ends answers, which tells everybody
	}
}

// answers hands answers out until the stream ends.
func (a *asker) answers() {
	for {
		answer, err := names.ReadAnswer(a.stream)
		if err != nil {
			break
		}
		a.mu.Lock()
		then := a.open[answer.Number]
		delete(a.open, answer.Number)
		a.mu.Unlock()
		if then != nil {
			then(answer.Message)
		}
	}
	a.mu.Lock()
	left := a.open
	a.open = nil
	a.mu.Unlock()
	for _, then := range left {
		then(nil)
	}
}

// overUDP takes questions until the socket is closed.
func (a *asker) overUDP(socket *net.UDPConn, reply *replier) {
	buf := make([]byte, 1<<16)
	for {
		count, from, err := socket.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // of one packet
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		a.ask(false, append([]byte(nil), buf[:count]...), func(answer []byte) {
			if len(answer) == 0 {
				return
			}
			if err := reply.send(from, answer); err != nil {
				slog.Debug("an answer for a name is lost", "to", from, "error", err)
			}
		})
	}
}

// overTCP takes connections until the listener is closed, and ends them with ctx.
func (a *asker) overTCP(ctx context.Context, l *net.TCPListener, running *sync.WaitGroup) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		running.Go(func() {
			defer func() { _ = conn.Close() }()
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			a.conversation(conn)
		})
	}
}

// conversation answers one question after the other.
func (a *asker) conversation(conn net.Conn) {
	for {
		_ = conn.SetDeadline(time.Now().Add(idleTimeout))
		message, err := names.ReadMessage(conn)
		if err != nil {
			return
		}
		answered := make(chan []byte, 1)
		a.ask(true, message, func(answer []byte) { answered <- answer })
		answer := <-answered
		if len(answer) == 0 || names.WriteMessage(conn, answer) != nil {
			return
		}
	}
}

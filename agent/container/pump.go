// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/stdio"
	"github.com/katapod/katapod/protocols/transport"
)

// attach moves the streams between the process and the connections that the
// host opens for it. wait bounds the wait for a connection; alive ends with the
// process. ended is called as each output ends.
func (s *streams) attach(wait, alive context.Context, from Claimer, tokens Tokens, ended func()) {
	if in := s.stdin(); tokens.Stdin != 0 && in != nil {
		// Each is the process's, and ends with its stream, or with waiting when nobody comes for that.
		go s.pumpIn(wait, alive, from, tokens.Stdin, in)
	} else {
		_ = s.closeStdin()
	}
	// As above.
	go pumpOut(wait, from, tokens.Stdout, s.out, ended)
	if s.err != nil {
		// As above.
		go pumpOut(wait, from, tokens.Stderr, s.err, ended)
	}
}

// pumpIn ends when the host closes its side, when the process closes its own,
// or when the process ends.
func (s *streams) pumpIn(wait, alive context.Context, from Claimer, token stdio.Token, in *os.File) {
	defer func() { _ = s.closeStdin() }()
	conn, err := from.Claim(wait, token)
	if err != nil {
		slog.Warn("a process has no standard input", "error", err)
		return
	}
	defer func() { _ = conn.Close() }()
	// A child may hold the other end and read nothing; that is no reason to wait.
	stop := context.AfterFunc(alive, func() { _, _ = conn.Close(), s.closeStdin() })
	defer stop()
	// Errors are ends: either side is gone, and that is all there is to say.
	_, _ = io.Copy(plainWriter{in}, conn)
}

// pumpOut ends the stream when the process's side is closed by all who hold it,
// or when the process has ended and those who hold it are silent. Output that
// nobody takes is thrown away, so that its writers go on.
func pumpOut(wait context.Context, from Claimer, token stdio.Token, o *output, ended func()) {
	defer ended()
	defer o.end()
	if token == 0 {
		drain(o)
		return
	}
	conn, err := from.Claim(wait, token)
	if err != nil {
		slog.Warn("a process's output has no taker", "error", err)
		drain(o)
		return
	}
	over, err := forward(conn, o)
	_ = conn.Close()
	if err != nil {
		slog.Warn("a process's output lost its taker", "error", err)
	}
	if !over {
		drain(o)
	}
}

// A copy begins with little, which is enough for most processes, and takes as much
// at once as the output's pipe holds when that is full: each step of a copy wakes the
// multiplexer, the port and the VMM, whatever it carries.
const (
	firstCopy = 4 << 10
	// largestCopy makes a frame that a virtio-serial port takes in whole pieces of
	// 32 KiB, its own limit.
	largestCopy = transport.JoinedBody
	// defaultPipe is the capacity of a pipe that nobody chose, and fullPipe that of
	// one whose writer does not stop (pipe(7), F_SETPIPE_SZ): the process goes on
	// writing while what it wrote is read.
	defaultPipe = 64 << 10
	fullPipe    = 256 << 10
)

// forward copies until the end of the output, or until it has settled, which is
// not over yet; the error is the connection's.
func forward(conn net.Conn, o *output) (over bool, err error) {
	buf := make([]byte, firstCopy)
	for {
		n, err := o.next(buf)
		if n > 0 {
			if _, werr := conn.Write(buf[:n]); werr != nil {
				return false, werr
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, errSettled):
			return false, nil
		case isEnd(err):
			return true, nil
		default:
			slog.Warn("reading a process's output", "error", err)
			return true, nil
		}
		if n == len(buf) && n < largestCopy {
			buf = make([]byte, min(4*n, largestCopy))
			if len(buf) == largestCopy {
				o.widen()
			}
		}
	}
}

// widen gives an output that is full a larger pipe, unless its size was chosen, or
// it is a terminal.
func (o *output) widen() {
	raw, err := o.file.SyscallConn()
	if err != nil {
		return // it has just been closed
	}
	_ = raw.Control(func(fd uintptr) {
		if size, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0); err == nil && size == defaultPipe {
			// At worst it stays as it is.
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, fullPipe)
		}
	})
}

func drain(o *output) {
	o.unsettle()
	_, _ = io.Copy(io.Discard, plainReader{o.file})
}

// plainWriter and plainReader hide the file's own copy methods, which would
// try to splice and hold on to the file in ways that a close does not end.
type plainWriter struct{ f *os.File }

func (w plainWriter) Write(p []byte) (int, error) { return w.f.Write(p) }

type plainReader struct{ f *os.File }

func (r plainReader) Read(p []byte) (int, error) { return r.f.Read(p) }

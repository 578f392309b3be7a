// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/katapod/katapod/protocols/stdio"
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

// forward copies until the end of the output, or until it has settled, which is
// not over yet; the error is the connection's.
func forward(conn net.Conn, o *output) (over bool, err error) {
	buf := make([]byte, 32<<10)
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
	}
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

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"io"
	"net"

	"golang.org/x/sync/errgroup"

	"github.com/katapod/katapod/protocols/stdio"
	"github.com/katapod/katapod/protocols/transport"
)

// wantedStreams says which standard streams a process is to have.
type wantedStreams struct{ stdin, stdout, stderr bool }

// streams are the host's ends of a process's standard streams, nil where the
// process has none.
type streams struct {
	stdin          io.WriteCloser
	stdout, stderr io.ReadCloser
}

// close ends all streams; readers and writers return.
func (s streams) close() {
	for _, c := range []io.Closer{s.stdin, s.stdout, s.stderr} {
		if c != nil {
			_ = c.Close()
		}
	}
}

// streamTokens name the streams of one process to the agent; zero is none.
type streamTokens struct{ stdin, stdout, stderr stdio.Token }

// newStreamTokens draws a token per wanted stream.
func newStreamTokens(w wantedStreams) streamTokens {
	var t streamTokens
	if w.stdin {
		t.stdin = stdio.NewToken()
	}
	if w.stdout {
		t.stdout = stdio.NewToken()
	}
	if w.stderr {
		t.stderr = stdio.NewToken()
	}
	return t
}

// dialStreams connects the streams that tokens name, side by side: each costs a
// round trip, and the agent takes them in any order, before or after the call
// that names them.
func dialStreams(ctx context.Context, d transport.Dialer, tokens streamTokens) (streams, error) {
	var stdin, stdout, stderr net.Conn
	group, ctx := errgroup.WithContext(ctx)
	dial := func(name string, token stdio.Token, conn *net.Conn) {
		if token == 0 {
			return
		}
		group.Go(func() error {
			var err error
			if *conn, err = dialStream(ctx, d, token); err != nil {
				return fmt.Errorf("connect %s: %w", name, err)
			}
			return nil
		})
	}
	dial("stdin", tokens.stdin, &stdin)
	dial("stdout", tokens.stdout, &stdout)
	dial("stderr", tokens.stderr, &stderr)
	err := group.Wait()
	s := asStreams(stdin, stdout, stderr)
	if err != nil {
		s.close()
		return streams{}, err
	}
	return s, nil
}

func dialStream(ctx context.Context, d transport.Dialer, token stdio.Token) (net.Conn, error) {
	conn, err := d.Dial(ctx, transport.PortStdio)
	if err != nil {
		return nil, err
	}
	if err := token.Write(conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// asStreams keeps a nil connection a nil interface.
func asStreams(stdin, stdout, stderr net.Conn) streams {
	var s streams
	if stdin != nil {
		s.stdin = stdin
		// It ends with the stream, which closeStreams sees to.
		go watchInput(stdin)
	}
	if stdout != nil {
		s.stdout = stdout
	}
	if stderr != nil {
		s.stderr = stderr
	}
	return s
}

// watchInput closes an input that the guest has closed, so that writing to it
// fails instead of filling a window that nobody reads, and who writes learns that
// the process takes no more. The guest sends nothing on an input.
func watchInput(conn net.Conn) {
	_, _ = conn.Read(make([]byte, 1))
	_ = conn.Close()
}

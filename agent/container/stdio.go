// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/stdio"
)

// Tokens name the streams of a process; zero is none. If all are zero, the host
// reads and writes by calls instead.
type Tokens struct {
	Stdin, Stdout, Stderr stdio.Token
}

func (t Tokens) none() bool { return t == Tokens{} }

// Claimer finds the connection of a token.
type Claimer interface {
	Claim(ctx context.Context, token stdio.Token) (net.Conn, error)
}

// streams are the agent's ends of a process's standard streams. Each is moved
// by a goroutine of its own (or by calls), so that a slow one never holds
// another one up; what is not taken waits in the pipe, and then in the process.
type streams struct {
	terminal bool
	child    Files
	// in is nil once closed or when there is none; inMu guards it against a
	// close during a write.
	inMu sync.Mutex
	in   *os.File
	out  *output
	err  *output
}

// output is a stream that the process writes.
type output struct {
	file *os.File
	// ended is closed once the end was read, or nobody will read any more.
	ended   chan struct{}
	endOnce sync.Once
	// reading serialises calls that read.
	reading sync.Mutex

	// mu guards quiet, which is 0 while the process runs, and patient; see settle.
	mu      sync.Mutex
	quiet   time.Duration
	patient bool
}

func newOutput(f *os.File) *output { return &output{file: f, ended: make(chan struct{})} }

func (o *output) end() {
	o.endOnce.Do(func() {
		_ = o.file.Close()
		close(o.ended)
	})
}

// newStreams makes the pipes of a process without a terminal. pipeSize is the
// capacity of output pipes in bytes, 0 for the kernel's default.
func newStreams(terminal, stdin bool, pipeSize int) (_ *streams, err error) {
	s := &streams{terminal: terminal, child: Files{Terminal: terminal}}
	if terminal {
		return s, nil
	}
	defer func() {
		if err != nil {
			s.discard()
		}
	}()
	if err := s.pipeIn(stdin); err != nil {
		return nil, err
	}
	if s.out, s.child.Stdout, err = pipeOut(pipeSize); err != nil {
		return nil, err
	}
	if s.err, s.child.Stderr, err = pipeOut(pipeSize); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *streams) pipeIn(wanted bool) (err error) {
	if !wanted {
		if s.child.Stdin, err = os.Open(os.DevNull); err != nil {
			return fmt.Errorf("open an empty standard input: %w", err)
		}
		return nil
	}
	if s.child.Stdin, s.in, err = os.Pipe(); err != nil {
		return fmt.Errorf("make the pipe of a standard input: %w", err)
	}
	return nil
}

func pipeOut(size int) (*output, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make the pipe of a standard output: %w", err)
	}
	if size > 0 {
		if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, size); err != nil {
			slog.Warn("kept the kernel's pipe size", "wanted", size, "error", err)
		}
	}
	return newOutput(r), w, nil
}

// started closes the process's ends here and takes its terminal.
func (s *streams) started(terminal *os.File) {
	s.closeChild()
	if s.terminal {
		s.inMu.Lock()
		defer s.inMu.Unlock()
		s.in, s.out = terminal, newOutput(terminal)
	}
}

func (s *streams) closeChild() {
	for _, f := range []*os.File{s.child.Stdin, s.child.Stdout, s.child.Stderr} {
		if f != nil {
			_ = f.Close()
		}
	}
	s.child = Files{Terminal: s.terminal}
}

// discard closes everything: the process never came to be, or is forgotten.
func (s *streams) discard() {
	s.closeChild()
	_ = s.closeStdin()
	for _, o := range s.outputs() {
		o.end()
	}
}

func (s *streams) outputs() []*output {
	var all []*output
	for _, o := range []*output{s.out, s.err} {
		if o != nil {
			all = append(all, o)
		}
	}
	return all
}

// closeStdin ends the standard input. A terminal has no end of its own, so it
// stays open for its output.
func (s *streams) closeStdin() error {
	s.inMu.Lock()
	defer s.inMu.Unlock()
	if s.in == nil || s.terminal {
		return nil
	}
	err := s.in.Close()
	s.in = nil
	if err != nil {
		return fmt.Errorf("close a standard input: %w", err)
	}
	return nil
}

// stdin returns the standard input, nil when there is none or it is closed.
func (s *streams) stdin() *os.File {
	s.inMu.Lock()
	defer s.inMu.Unlock()
	return s.in
}

// settle bounds the time for which outputs outlive the process.
func (s *streams) settle() {
	for _, o := range s.outputs() {
		o.settle(quietOutput)
	}
}

// ended reports whether every output has ended.
func (s *streams) ended() bool {
	for _, o := range s.outputs() {
		select {
		case <-o.ended:
		default:
			return false
		}
	}
	return true
}

// isEnd tells the end of a terminal (its last other end closed) and of a pipe.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, unix.EIO) || errors.Is(err, os.ErrClosed)
}

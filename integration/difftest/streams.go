// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/pkg/cio"
)

// streams are the standard streams of a process.
type streams struct {
	in       *io.PipeReader // nil without standard input
	typed    *io.PipeWriter
	out, err *output
	first    string
	tell     func() error // nil without standard input, and before the process is made
}

// keepOpen as a row's stdin gives a standard input that the row writes to and ends itself.
const keepOpen = "\x00"

// newStreams makes streams whose standard input is the text and then its end; no text means no standard input.
func newStreams(stdin string) *streams {
	s := &streams{out: newOutput(), err: newOutput(), first: stdin}
	if stdin != "" {
		s.in, s.typed = io.Pipe()
	}
	return s
}

// creator gives the streams to containerd's client. A terminal has one stream for what is printed.
func (s *streams) creator(from *side, terminal bool) cio.Creator {
	var in io.Reader
	if s.in != nil {
		in = s.in
	}
	options := []cio.Opt{cio.WithStreams(in, s.out, s.err), cio.WithFIFODir(from.dir("fifo"))}
	if terminal {
		options = append(options, cio.WithTerminal)
	}
	return cio.NewCreator(options...)
}

// closer says how containerd is told of the end of standard input, and writes the text given at the beginning.
func (s *streams) closer(tell func() error) {
	if s.in == nil {
		return
	}
	s.tell = tell
	if s.first != keepOpen {
		go func() {
			_, _ = io.WriteString(s.typed, s.first) // a process that does not read it may have ended
			_ = s.end()
		}()
	}
}

func (s *streams) send(text string) error {
	if _, err := io.WriteString(s.typed, text); err != nil {
		return fmt.Errorf("write to the container's standard input: %w", err)
	}
	return nil
}

// end ends the standard input. containerd's answer is of no interest: the process may have ended before.
func (s *streams) end() error {
	if s.tell == nil {
		return nil
	}
	err := s.typed.Close()
	_ = s.tell()
	return err
}

// output is what a process printed so far.
type output struct {
	mu      sync.Mutex
	all     strings.Builder
	changed chan struct{} // closed and replaced at every write
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

// Write is called by containerd's client.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.all.Write(p)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

// expect waits until the text was printed.
func (o *output) expect(ctx context.Context, text string) error {
	for {
		o.mu.Lock()
		changed, all := o.changed, o.all.String()
		o.mu.Unlock()
		if strings.Contains(all, text) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%q was not printed; printed was %q", text, all), ctx.Err())
		}
	}
}

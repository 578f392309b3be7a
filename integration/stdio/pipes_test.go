// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/pkg/cio"
	"golang.org/x/sys/unix"
)

// pipes are the FIFOs of one process. The test holds the client's ends.
type pipes struct {
	dir            string
	config         cio.Config
	stdout, stderr *output
	unread         bool // stdout is read when the test says so
}

// newPipes makes the FIFOs that the request asks for and opens the ends to read.
func newPipes(r request) (_ *pipes, err error) {
	p := &pipes{config: cio.Config{Terminal: r.terminal}}
	if p.dir, err = os.MkdirTemp(shared.Root, "io-"); err != nil {
		return nil, fmt.Errorf("make a directory for FIFOs: %w", err)
	}
	fifo := func(name string) string {
		path := filepath.Join(p.dir, name)
		err = errors.Join(err, unix.Mkfifo(path, 0o600))
		return path
	}
	if r.stdin {
		p.config.Stdin = fifo("stdin")
	}
	p.config.Stdout = fifo("stdout")
	if !r.terminal {
		p.config.Stderr = fifo("stderr")
	}
	if err != nil {
		return nil, fmt.Errorf("make FIFOs: %w", err)
	}
	p.unread = r.unread
	p.stdout, err = newOutput(p.config.Stdout)
	if err == nil && !r.terminal {
		p.stderr, err = newOutput(p.config.Stderr)
	}
	return p, err
}

// creator hands the FIFOs to containerd's client, which is to do nothing with them.
func (p *pipes) creator(string) (cio.IO, error) { return handsOff{p.config}, nil }

type handsOff struct{ config cio.Config }

func (h handsOff) Config() cio.Config { return h.config }
func (handsOff) Cancel()              {}
func (handsOff) Wait()                {}
func (handsOff) Close() error         { return nil }

// read begins to collect the output.
func (p *pipes) read() {
	if !p.unread {
		p.stdout.read()
	}
	p.stderr.read()
}

// input opens the end of the input to write. It blocks as long as the pipe is full, not before.
func (p *pipes) input() (*os.File, error) {
	f, err := os.OpenFile(p.config.Stdin, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open the process's input (the shim reads it?): %w", err)
	}
	return f, nil
}

func (p *pipes) remove() error {
	p.stdout.close()
	p.stderr.close()
	return os.RemoveAll(p.dir)
}

// output collects what comes out of a FIFO. A nil output has nothing.
type output struct {
	file *os.File
	once sync.Once
	done chan struct{} // closed at the end, when err is set

	mu   sync.Mutex
	got  bytes.Buffer
	more chan struct{} // closed when something came
	err  error
}

func newOutput(path string) (*output, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a FIFO to read: %w", err)
	}
	return &output{file: f, done: make(chan struct{}), more: make(chan struct{})}, nil
}

// read collects in the background, once there is somebody who writes.
func (o *output) read() {
	if o == nil {
		return
	}
	o.once.Do(func() {
		go func() {
			defer close(o.done)
			_, err := io.Copy(writerFunc(o.take), struct{ io.Reader }{o.file})
			o.mu.Lock()
			defer o.mu.Unlock()
			o.err = err
		}()
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (o *output) take(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.got.Write(p)
	close(o.more)
	o.more = make(chan struct{})
	return len(p), nil
}

// expect waits until the text has come.
func (o *output) expect(ctx context.Context, text string) error {
	for {
		o.mu.Lock()
		got, more := o.got.String(), o.more
		o.mu.Unlock()
		if strings.Contains(got, text) {
			return nil
		}
		select {
		case <-more:
		case <-o.done:
			if got := o.now(); !strings.Contains(got, text) {
				return fmt.Errorf("the stream ended after %.300q without %q", got, text)
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("waiting for %q, only %.300q came: %w", text, got, context.Cause(ctx))
		}
	}
}

// now is what has come so far.
func (o *output) now() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.got.String()
}

// all waits for the end of the stream and returns all of it.
func (o *output) all(ctx context.Context) (string, error) {
	if o == nil {
		return "", nil
	}
	select {
	case <-o.done:
		return o.now(), o.err
	case <-ctx.Done():
		return o.now(), fmt.Errorf("it has no end; %d bytes came: %w", len(o.now()), context.Cause(ctx))
	}
}

func (o *output) close() {
	if o != nil {
		_ = o.file.Close() // ends a read that still waits
	}
}

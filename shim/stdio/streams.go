// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/containerd/log"
)

// Guest are the streams of a process, nil where there is none. Closing Stdin is
// the end of the process's input; Attach takes the others only.
type Guest struct {
	Stdin          io.WriteCloser
	Stdout, Stderr io.ReadCloser
}

// Streams are the engine's ends of one process's standard streams. It is safe
// for concurrent use.
//
// The input is opened as late as at the process's start. A client begins to read
// its own input when somebody reads the FIFO, and ctr is not ready to tell of
// that input's end before it calls Start.
type Streams struct {
	input    string // the input's path, empty for none
	stdout   io.WriteCloser
	stderr   io.WriteCloser
	log      *log.Entry
	closing  sync.Once
	closeErr error

	// mu guards what follows.
	mu        sync.Mutex
	in        *input // nil before OpenInput
	inputEnds bool   // CloseStdin was called
	pumps     []*pump
	guest     Guest
	ended     bool
}

// Open opens what the engine named, so that a bad name fails before anything
// runs. Namespace and container are told to logging programs.
func Open(ctx context.Context, p Paths, namespace, container string) (*Streams, error) {
	s := &Streams{log: log.G(ctx)}
	if err := s.open(ctx, p, namespace, container); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Streams) open(ctx context.Context, p Paths, namespace, container string) (err error) {
	if p.HasStdin() {
		t, err := parse(p.Stdin)
		if err != nil {
			return err
		}
		if _, err := isFIFO(t.path); err != nil {
			return fmt.Errorf("stdin of container %s: %w", container, err)
		}
		s.input = t.path
	}
	if t, err := parse(p.Stdout); err == nil && t.scheme == schemeBinary {
		return s.openLogger(ctx, t, p, namespace, container)
	}
	if p.HasStdout() {
		if s.stdout, err = openNamed(p.Stdout); err != nil {
			return fmt.Errorf("stdout of container %s: %w", container, err)
		}
	}
	if p.HasStderr() {
		if s.stderr, err = openNamed(p.Stderr); err != nil {
			return fmt.Errorf("stderr of container %s: %w", container, err)
		}
	}
	return nil
}

// openLogger gives both outputs to one program, which the name of stdout names.
func (s *Streams) openLogger(ctx context.Context, t target, p Paths, namespace, container string) error {
	l, err := startLogger(ctx, t, namespace, container)
	if err != nil {
		return err
	}
	var open sync.WaitGroup
	open.Add(2)
	stdout, stderr := &shared{File: l.stdout, last: open.Done}, &shared{File: l.stderr, last: open.Done}
	// It ends with the logging program, which is killed when it does not end by itself.
	go func() {
		open.Wait()
		if err := l.wait(); err != nil {
			s.log.WithError(err).Warn("logging program")
		}
	}()
	s.stdout, s.stderr = stdout, stderr
	if !p.HasStderr() {
		s.stderr = nil
		return stderr.Close()
	}
	return nil
}

func openNamed(name string) (io.WriteCloser, error) {
	t, err := parse(name)
	if err != nil {
		return nil, err
	}
	if t.scheme == schemeFile {
		f, err := os.OpenFile(t.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return nil, wrong("open the log file that the engine named", err)
		}
		return f, nil
	}
	return openOutput(t.path)
}

// OpenInput opens the process's input, if it has one. It is called once, when the
// process is about to run.
func (s *Streams) OpenInput() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.input == "" || s.ended {
		return nil
	}
	in, err := openInput(s.input)
	if err != nil {
		return err
	}
	s.in = in
	if s.inputEnds {
		return s.in.release()
	}
	return nil
}

// Feed begins to copy the input that OpenInput opened. It is called once; Streams
// owns the guest's side from then on.
func (s *Streams) Feed(guest io.WriteCloser) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guest.Stdin = guest
	switch {
	case guest == nil:
	case s.ended || s.in == nil:
		_ = guest.Close() // there is nothing to come
	default:
		// Not among the pumps: nobody waits for the rest of an input.
		go s.feed(s.in, guest)
	}
}

// Attach begins to copy the outputs. It is called once; Streams owns the guest's
// side from then on.
func (s *Streams) Attach(g Guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guest.Stdout, s.guest.Stderr = g.Stdout, g.Stderr
	if s.ended {
		closeGuest(s.guest)
		return
	}
	if s.stdout != nil && g.Stdout != nil {
		s.pumps = append(s.pumps, startPump(s.stdout, g.Stdout, s.log.WithField("stream", "stdout")))
	}
	if s.stderr != nil && g.Stderr != nil {
		s.pumps = append(s.pumps, startPump(s.stderr, g.Stderr, s.log.WithField("stream", "stderr")))
	}
}

// feed copies the input until its end, or until the process takes no more.
func (s *Streams) feed(in *input, guest io.WriteCloser) {
	_, err := io.CopyBuffer(onlyWriter{guest}, onlyReader{in}, make([]byte, inputChunk))
	if err != nil && !errors.Is(err, os.ErrClosed) {
		s.log.WithError(err).WithField("stream", "stdin").Debug("the process takes no more input")
	}
	if err := guest.Close(); err != nil {
		s.log.WithError(err).WithField("stream", "stdin").Debug("end the process's input")
	}
	// An engine that goes on writing learns that nobody reads.
	if err := in.Close(); err != nil {
		s.log.WithError(err).WithField("stream", "stdin").Debug("close the input")
	}
}

// CloseStdin lets the input end once the engine's own writers are gone, as
// CloseIO asks. It may be
// called again, before OpenInput, and without an input.
func (s *Streams) CloseStdin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inputEnds = true
	if s.in == nil {
		return nil
	}
	return s.in.release()
}

// Drain waits until the output of a process that has ended is with the engine.
// It gives up on an output that stands still, see [pump.drain].
func (s *Streams) Drain() {
	s.mu.Lock()
	pumps := s.pumps
	s.mu.Unlock()
	var all sync.WaitGroup
	for _, p := range pumps {
		all.Go(p.drain)
	}
	all.Wait()
}

// Close ends all copying and closes both sides. What is not copied is lost. It
// may be called again.
func (s *Streams) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.ended = true
		g, in := s.guest, s.in
		s.mu.Unlock()
		closeGuest(g)
		var errs []error
		if in != nil {
			errs = append(errs, in.Close())
		}
		for _, w := range []io.WriteCloser{s.stdout, s.stderr} {
			if w == nil {
				continue
			}
			if err := w.Close(); !errors.Is(err, os.ErrClosed) {
				errs = append(errs, err)
			}
		}
		if err := errors.Join(errs...); err != nil {
			s.closeErr = fmt.Errorf("close the standard streams: %w", err)
		}
	})
	return s.closeErr
}

// closeGuest gives up the guest's side; what the guest thinks of that is no news.
func closeGuest(g Guest) {
	for _, c := range []io.Closer{g.Stdin, g.Stdout, g.Stderr} {
		if c != nil {
			_ = c.Close()
		}
	}
}

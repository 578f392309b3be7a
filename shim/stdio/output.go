// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
)

// output is the writing end of a FIFO and a reading end that keeps it: output
// outlives a reader who leaves, there is no SIGPIPE, and what the FIFO holds is
// there for the next reader. See fifo(7).
type output struct {
	*os.File
	keeper *os.File
	close  sync.Once
	closed chan struct{}
	err    error // of Close; valid once closed is
}

// newOutput opens both ends, the reading one first: without any reader, a writer
// is not let in.
func newOutput(path string) (*output, error) {
	keeper, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, wrong("hold the output that the engine named", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, errors.Join(wrong("open the output that the engine named", err), keeper.Close())
	}
	return &output{File: f, keeper: keeper, closed: make(chan struct{})}, nil
}

// Close closes both ends. What nobody has read is lost. It may be called again.
func (o *output) Close() error {
	o.close.Do(func() {
		o.err = errors.Join(o.closeKeeper(), o.File.Close())
		close(o.closed)
	})
	return o.err
}

func (o *output) closeKeeper() error {
	if err := o.keeper.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// finish closes the output behind its last byte, as soon as somebody reads, or has
// not begun to for [timeouts.StuckReader]; it does not wait for that. Engines open
// their end in the background: that of a process that ends at once may come to
// open it only now, and would find an empty FIFO, and wait for a writer for ever.
func (o *output) finish() error {
	if err := o.closeKeeper(); err != nil {
		return err
	}
	if o.isRead() {
		return o.Close()
	}
	go o.linger() // it is the output's, and ends with its Close
	return nil
}

// linger looks for a reader, of whom nothing tells.
func (o *output) linger() {
	defer func() { _ = o.Close() }() // nobody is left to be told
	over := time.NewTimer(timeouts.StuckReader)
	defer over.Stop()
	for look := time.Millisecond; !o.isRead(); look = min(2*look, timeouts.ReaderLook) {
		timer := time.NewTimer(look)
		select {
		case <-timer.C:
			continue
		case <-over.C:
		case <-o.closed:
		}
		timer.Stop()
		return
	}
}

// isRead tells whether somebody has the FIFO open for reading; the keeper is
// closed. Without a reader, poll(2) reports an error of a writing end.
func (o *output) isRead() bool {
	read := true
	conn, err := o.SyscallConn()
	if err != nil {
		return read // it is closed
	}
	_ = conn.Control(func(fd uintptr) {
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		_, err := unix.Poll(polled, 0)
		read = err != nil || polled[0].Revents&unix.POLLERR == 0
	})
	return read
}

// finish closes the engine's end of an output behind its last byte.
func finish(engine io.WriteCloser) error {
	if o, is := engine.(*output); is {
		return o.finish()
	}
	return engine.Close()
}

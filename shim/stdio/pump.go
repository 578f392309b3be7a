// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/containerd/log"

	"github.com/katapod/katapod/protocols/timeouts"
)

const (
	// firstChunk is how much is copied at once at first, which is enough for most
	// processes, and chunk at most, once the guest has sent so much.
	firstChunk, chunk = 4 << 10, 64 << 10
	// inputChunk is how much of an input is copied at once.
	inputChunk = 16 << 10
	// lastOutput is how much may come after a process ended, in bytes: what pipes and
	// streams hold is a few MiB at most. See timeouts.SlowGuest as well.
	lastOutput = 16 << 20
)

// errEndless says that a guest goes on with the output of a process that has ended.
var errEndless = errors.New("the process has ended, and the guest goes on with its output")

// pump copies one output stream. Its end closes the engine's side.
type pump struct {
	guest io.ReadCloser
	done  chan struct{}
	// moved is when bytes moved last, in nanoseconds of Unix time; writing
	// tells that the engine is being waited for, not the guest.
	moved   atomic.Int64
	writing atomic.Bool
	// ended is when the process was known to have ended, like moved; 0 before.
	ended atomic.Int64
}

func startPump(engine io.WriteCloser, guest io.ReadCloser, l *log.Entry) *pump {
	p := &pump{guest: guest, done: make(chan struct{})}
	p.moved.Store(time.Now().UnixNano())
	// It is the pump's, and ends with the guest's stream, which Close closes; done tells.
	go func() {
		defer close(p.done)
		if err := p.copy(engine); err != nil && !errors.Is(err, os.ErrClosed) {
			l.WithError(err).Warn("output stream broke off")
		}
		if err := finish(engine); err != nil && !errors.Is(err, os.ErrClosed) {
			l.WithError(err).Warn("close the output stream")
		}
	}()
	return p
}

// copy moves bytes until the end. When the engine's side breaks, the rest is
// read and thrown away, so that the process does not stop at a full pipe.
func (p *pump) copy(engine io.Writer) error {
	buffer := make([]byte, firstChunk)
	for rest := (remainder{}); ; {
		began := time.Now()
		n, err := p.guest.Read(buffer)
		p.moved.Store(time.Now().UnixNano())
		if p.ended.Load() != 0 && rest.endless(n, began, time.Unix(0, p.ended.Load())) {
			return errEndless
		}
		if n > 0 {
			p.writing.Store(true)
			_, werr := engine.Write(buffer[:n])
			p.writing.Store(false)
			p.moved.Store(time.Now().UnixNano())
			if werr != nil {
				_, _ = io.CopyBuffer(io.Discard, onlyReader{p.guest}, buffer)
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == len(buffer) && n < chunk {
			buffer = make([]byte, min(4*n, chunk))
		}
	}
}

// remainder is what came since a process ended.
type remainder struct {
	bytes  int
	waited time.Duration
}

// endless counts bytes that were waited for since began, and tells whether that is
// enough.
func (r *remainder) endless(bytes int, began, ended time.Time) bool {
	if began.Before(ended) {
		began = ended
	}
	r.bytes += bytes
	r.waited += time.Since(began)
	return r.bytes > lastOutput || r.waited > timeouts.SlowGuest
}

// drain returns when all is copied, when the guest has said nothing for
// [timeouts.QuietGuest] or does not come to an end, or when the engine has read nothing
// for [timeouts.StuckReader]; copying goes on in the last case, until Close.
func (p *pump) drain() {
	began := time.Now()
	p.ended.CompareAndSwap(0, began.UnixNano())
	timer := time.NewTimer(timeouts.QuietGuest)
	defer timer.Stop()
	for cut := false; ; {
		select {
		case <-p.done:
			return
		case <-timer.C:
		}
		limit := timeouts.QuietGuest
		if p.writing.Load() {
			limit = timeouts.StuckReader
		}
		since := time.Unix(0, p.moved.Load())
		if since.Before(began) {
			since = began
		}
		left := limit - time.Since(since)
		if left > 0 {
			timer.Reset(min(left, timeouts.QuietGuest))
			continue
		}
		if cut || limit == timeouts.StuckReader {
			return
		}
		cut = true
		_ = p.guest.Close() // ends the copy, which closes the engine's side
		began = time.Now()
		timer.Reset(timeouts.QuietGuest)
	}
}

// onlyReader and onlyWriter hide the shortcuts that io.Copy would take, which
// allocate their own buffers.
type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }

// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bufio"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
)

// greetAll answers the greeting of every stream of the host's and never ends one.
// After each greeting it sends as much as rest has.
func greetAll(rest string) func(io.Writer, *bufio.Reader) {
	return func(w io.Writer, host *bufio.Reader) {
		greeted := map[uint32]bool{}
		for {
			var head [frameHeaderSize]byte
			if _, err := io.ReadFull(host, head[:]); err != nil {
				return
			}
			f := parseFrame(head[:])
			if _, err := host.Discard(f.body()); err != nil {
				return
			}
			if f.body() == 0 || greeted[f.stream] {
				continue
			}
			greeted[f.stream] = true
			answer := "OK 1\n" + rest
			_, _ = w.Write(rawFrame(0, frameWindow, 2, f.stream, 0, ""))
			_, _ = w.Write(rawFrame(0, frameData, 0, f.stream, uint32(len(answer)), answer))
		}
	}
}

// TestHostileEndlessStreams is a guest that ends no stream, and has each half full.
// The host remembers so many that it closed, at so much each, and then it has enough.
func TestHostileEndlessStreams(t *testing.T) {
	s := hostileGuest(t, greetAll(strings.Repeat("x", 100<<10)))
	before := heap()
	var err error
	var closed int
	var most int64
	for ; closed < 2*maxLingering; closed++ {
		c, dialErr := s.Dial(testContext(t), 1)
		if err = dialErr; err != nil {
			break
		}
		_ = c.Close()
		if closed == maxLingering-10 {
			most = heap()
		}
	}
	if !errdefs.IsUnavailable(err) || !strings.Contains(err.Error(), "did not end 1024 streams") {
		t.Errorf("after %d streams: %v", closed, err)
	}
	if closed > maxLingering+64 {
		t.Errorf("%d streams were closed before it was too much", closed)
	}
	const each = 16 << 10
	grown := most - before
	t.Logf("%d KiB of heap for %d streams", grown>>10, maxLingering-10)
	if grown > maxLingering*each {
		t.Errorf("the heap grew by %d KiB, more than %d", grown>>10, maxLingering*each>>10)
	}
}

// TestHonestStreamsDoNotLinger: streams that both ends close are not counted.
func TestHonestStreamsDoNotLinger(t *testing.T) {
	_, s, g := startSerial(t)
	serve(t, g, 7, echo)
	for range 50 {
		c := dial(t, s, 7)
		exchange(t, c, "hello")
		_ = c.Close()
	}
	for end := testContext(t); s.mux.lingering.Load() > 0; runtime.Gosched() {
		if end.Err() != nil {
			t.Fatalf("%d streams linger", s.mux.lingering.Load())
		}
	}
}

// heap is what lives on it, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestEndWakesAllReaders: the end of a session with a thousand readers is known to
// all of them at once, whichever end it comes from.
func TestEndWakesAllReaders(t *testing.T) {
	for name, end := range map[string]func(*Serial, chan struct{}){
		"by the guest": func(_ *Serial, misbehave chan struct{}) { close(misbehave) },
		"by the host":  func(s *Serial, _ chan struct{}) { _ = s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			misbehave := make(chan struct{})
			s := hostileGuest(t, func(w io.Writer, host *bufio.Reader) {
				go func() {
					<-misbehave
					_, _ = w.Write(rawFrame(0, 9, 0, 0, 0, ""))
				}()
				greetAll("")(w, host)
			})
			var reading sync.WaitGroup
			for range 1000 {
				c, err := s.Dial(testContext(t), 1)
				if err != nil {
					t.Fatal(err)
				}
				reading.Go(func() {
					if _, err := c.Read(make([]byte, 1)); !errdefs.IsUnavailable(err) {
						t.Errorf("a reader got %v", err)
					}
					_ = c.Close()
				})
			}
			began := time.Now()
			end(s, misbehave)
			reading.Wait()
			if took := time.Since(began); took > patience/2 { // what is not told waits for the end of its context
				t.Errorf("the readers knew after %s", took)
			}
			select {
			case <-misbehave:
			default:
				close(misbehave)
			}
		})
	}
}

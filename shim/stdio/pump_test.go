// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/log"

	"github.com/katapod/katapod/protocols/timeouts"
)

// engineSide is what an engine got, and whether it was told of the end.
type engineSide struct {
	bytes.Buffer
	closed bool
}

func (e *engineSide) Close() error {
	e.closed = true
	return nil
}

// A guest on a busy host takes its time between two bytes; the output of a process that has ended is whole all the same.
func TestDrainWaitsForASlowGuest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		var engine engineSide
		p := startPump(&engine, r, log.G(t.Context()))
		go func() {
			for range 10 {
				time.Sleep(5 * time.Second)
				_, _ = w.Write([]byte("word "))
			}
			_ = w.Close()
		}()
		p.drain()
		if got := engine.String(); got != strings.Repeat("word ", 10) || !engine.closed {
			t.Errorf("the engine got %q, its end %v", got, engine.closed)
		}
	})
}

// A guest that says nothing more, not even that this is the end, does not hold the exit of its process back for ever.
func TestDrainGivesUpOnASilentGuest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		var engine engineSide
		p := startPump(&engine, r, log.G(t.Context()))
		if _, err := w.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		p.drain()
		if took := time.Since(began); took != timeouts.QuietGuest {
			t.Errorf("Drain took %s, want %s", took, timeouts.QuietGuest)
		}
		if engine.String() != "last words" || !engine.closed {
			t.Errorf("the engine got %q, its end %v", engine.String(), engine.closed)
		}
	})
}

// An engine that reads nothing holds the exit back for a while only; copying goes on behind it.
func TestDrainGivesUpOnAStuckEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		engineR, engineW := io.Pipe()
		p := startPump(engineW, r, log.G(t.Context()))
		go func() {
			_, _ = w.Write([]byte("unread"))
			_ = w.Close()
		}()
		synctest.Wait()
		began := time.Now()
		p.drain()
		if took := time.Since(began); took < timeouts.StuckReader || took > timeouts.StuckReader+timeouts.QuietGuest {
			t.Errorf("Drain took %s, want about %s", took, timeouts.StuckReader)
		}
		if got, err := io.ReadAll(engineR); err != nil || string(got) != "unread" {
			t.Errorf("the engine read %q, %v", got, err)
		}
	})
}

// A guest that always has another byte holds the exit of its process back for a bounded time.
func TestDrainGivesUpOnAGuestThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		var engine engineSide
		p := startPump(&engine, r, log.G(t.Context()))
		over := make(chan struct{})
		go func() {
			defer close(over)
			for range 1000 { // a second apart
				time.Sleep(time.Second)
				if _, err := w.Write([]byte("x")); err != nil {
					return
				}
			}
		}()
		began := time.Now()
		p.drain()
		if took := time.Since(began); took > timeouts.SlowGuest+timeouts.QuietGuest {
			t.Errorf("Drain took %s, want at most %s", took, timeouts.SlowGuest+timeouts.QuietGuest)
		}
		if !engine.closed {
			t.Error("the engine was not told of the end")
		}
		_ = r.Close()
		<-over
	})
}

// A guest that floods has its process's exit reported after a bounded number of bytes.
func TestDrainGivesUpOnAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		engine := &counter{}
		p := startPump(engine, r, log.G(t.Context()))
		sent, over := 0, make(chan struct{})
		go func() {
			defer close(over)
			for buffer := make([]byte, 1<<20); sent < 8*lastOutput; sent += len(buffer) {
				if _, err := w.Write(buffer); err != nil {
					return
				}
			}
			_ = w.Close()
		}()
		p.drain()
		if engine.bytes > lastOutput+(1<<20) {
			t.Errorf("%d bytes went to the engine, want at most %d", engine.bytes, lastOutput)
		}
		_ = r.Close()
		<-over
	})
}

// counter is an engine that counts.
type counter struct{ bytes int }

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += len(p)
	return len(p), nil
}

func (c *counter) Close() error { return nil }

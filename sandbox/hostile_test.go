// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"io"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/sandbox/failure"
)

// cost is what something cost this process, which is the host's part and the guest's
// together: the most of heap beyond what was there, and time. State is the longest
// that the pod's state took to be told meanwhile.
type cost struct {
	heap        uint64
	took, state time.Duration
}

// measure watches until done is closed.
func measure(f *fixture, done <-chan struct{}) cost {
	runtime.GC()
	var c cost
	began, before := time.Now(), heapNow()
	for tick := time.NewTicker(time.Millisecond); ; {
		select {
		case <-done:
			tick.Stop()
			c.took = time.Since(began)
			return c
		case <-tick.C:
		}
		asked := time.Now()
		_ = f.pod.State()
		c.state = max(c.state, time.Since(asked))
		if now := heapNow(); now > before {
			c.heap = max(c.heap, now-before)
		}
	}
}

func heapNow() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// repeat writes until that fails.
func repeat(w io.Writer, p []byte) {
	for {
		if _, err := w.Write(p); err != nil {
			return
		}
	}
}

// TestHostileGuest has one pod's guest do its worst: it costs so much memory and time,
// and that pod.
func TestHostileGuest(t *testing.T) {
	const (
		heapBound  = 16 << 20
		stateBound = 10 * time.Second // it takes microseconds, on a host that has the time
	)
	garbage := strings.Repeat("\xff", 32<<10)
	for _, c := range []struct {
		name, says string
		hangs      bool // which its liveness tells
		worst      func(p *hostilePeer, agent io.Writer)
	}{
		{"endless answers to nothing", "does not keep to the protocol", false, func(_ *hostilePeer, agent io.Writer) {
			repeat(agent, agentFrame(8, 2, 2, "whatever"))
		}},
		{"endless answers to one request", "has been answered", false, func(_ *hostilePeer, agent io.Writer) {
			repeat(agent, agentFrame(8, 1, 2, "whatever"))
		}},
		{"an answer of 4 GiB", "does not keep to the protocol", false, func(_ *hostilePeer, agent io.Writer) {
			_, _ = agent.Write(agentFrame(1<<32-1, 1, 2, ""))
			repeat(agent, []byte(garbage))
		}},
		{"garbage for answers", "does not keep to the protocol", false, func(_ *hostilePeer, agent io.Writer) {
			repeat(agent, []byte(garbage))
		}},
		{"a frame of 2 GiB", "broke", false, func(p *hostilePeer, _ io.Writer) {
			p.mute.Store(true)
			_, _ = p.conn.Write(muxFrame(0, 0, 1, 1<<31, ""))
			repeat(p.conn, []byte(garbage))
		}},
		{"endless streams of its own", "broke", false, func(p *hostilePeer, _ io.Writer) {
			p.mute.Store(true)
			repeat(p.conn, muxFrame(1, 1, 2, 0, ""))
		}},
		{"garbage for frames", "broke", false, func(p *hostilePeer, _ io.Writer) {
			p.mute.Store(true)
			repeat(p.conn, []byte(garbage))
		}},
		{"slow bytes", "has not answered", true, func(p *hostilePeer, _ io.Writer) {
			p.mute.Store(true)
			_, _ = p.conn.Write(muxFrame(0, 0, 1, 100<<10, ""))
			for slow := time.NewTicker(50 * time.Millisecond); ; {
				select {
				case <-slow.C:
					_, _ = p.conn.Write([]byte{0})
				case <-p.gone:
					slow.Stop()
					return
				}
			}
		}},
		{"silence", "has not answered", true, func(p *hostilePeer, _ io.Writer) { p.mute.Store(true) }},
		{"deafness", "has not answered", true, func(p *hostilePeer, _ io.Writer) {
			p.mute.Store(true)
			p.deaf.Store(true)
		}},
		{"endless frames of nothing, and no answer", "", true, func(p *hostilePeer, _ io.Writer) {
			p.mute.Store(true)
			repeat(p.conn, muxFrame(1, 0, 9999, 0, ""))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			life := defaultLiveness()
			within := time.Duration(life.misses) * life.answer // what is not noticed takes longer
			if c.hangs {
				life = quick()
			}
			f, p := peerFixture(t, life)
			proc := f.running("c1", "sleep")
			agent := leaktest.Receive(t, p.stream)
			var over = make(chan struct{})
			go func() {
				defer close(over)
				c.worst(p, agent)
			}()
			got := measure(f, f.pod.Done())
			leaktest.Receive(t, over)
			t.Logf("%d KiB of heap, %s until the pod was dead and released, its state in %s", got.heap>>10, got.took.Round(time.Millisecond), got.state)
			if got.heap > heapBound || got.took > within || got.state > stateBound {
				t.Errorf("it cost %d KiB and %s, its state %s", got.heap>>10, got.took, got.state)
			}
			if code := wait(t, proc.Init()); code != exitKilled {
				t.Errorf("the process ended with %d", code)
			}
			if got := f.pod.Failure(); got == nil || !slices.Contains([]failure.Code{failure.AgentLost, failure.GuestHangs, failure.GuestHostile}, got.Code) || !strings.Contains(got.Error(), c.says) {
				t.Errorf("failure %v, want %q", got, c.says)
			}
		})
	}
}

// TestHostileOutput floods an output that nobody reads: it waits in the guest.
func TestHostileOutput(t *testing.T) {
	f, _ := peerFixture(t, defaultLiveness())
	c := f.container("c1", "flood")
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	enough := make(chan struct{})
	time.AfterFunc(500*time.Millisecond, func() { close(enough) })
	if got := measure(f, enough); got.heap > 8<<20 {
		t.Errorf("it cost %d KiB", got.heap>>10)
	}
	if s := f.pod.State(); s != StateRunning {
		t.Errorf("the pod is %s", s)
	}
}

func TestHostileErrorText(t *testing.T) {
	f, _ := peerFixture(t, defaultLiveness())
	c := f.running("c1", "sleep")
	f.agent.failAt("StatsContainer", errors.New(strings.Repeat("lies\n", 40<<10)))
	_, err := c.Stats(background)
	if err == nil || len(err.Error()) > 16<<10 {
		t.Errorf("an error of %d bytes came through", len(err.Error()))
	}
}

func TestHostileExitCode(t *testing.T) {
	for code, want := range map[string]int{"70000": exitUnknown, "-1": exitUnknown, "256": exitUnknown, "255": 255, "0": 0} {
		t.Run(code, func(t *testing.T) {
			f := startedFixture(t)
			c := f.running("c1", "exit", code)
			if got := wait(t, c.Init()); got != want {
				t.Errorf("exit code %s was taken for %d", code, got)
			}
		})
	}
}

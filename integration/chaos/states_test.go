// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/ttrpc"
)

// slowShim answers State after a while.
type slowShim struct {
	taskapi.TTRPCTaskService
	after time.Duration
	asked chan struct{}
}

func (s slowShim) State(context.Context, *taskapi.StateRequest) (*taskapi.StateResponse, error) {
	select {
	case s.asked <- struct{}{}:
	default:
	}
	time.Sleep(s.after)
	return &taskapi.StateResponse{}, nil
}

// A shim that takes its time to say the state of a container is seen, unless it was stopped.
func TestSlowStatesAreSeen(t *testing.T) {
	for name, test := range map[string]struct {
		after   time.Duration
		stopped bool
		slow    bool
	}{
		"quick":   {},
		"slow":    {after: stateLimit + 100*time.Millisecond, slow: true},
		"stopped": {after: stateLimit + 100*time.Millisecond, stopped: true},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := judgedStates(t, test.after, test.stopped)
			for try := 1; try < 10 && wrong != "" && !test.slow; try++ { // this machine was slow, not the shim
				wrong = judgedStates(t, test.after, test.stopped)
			}
			if (wrong != "") != test.slow {
				t.Errorf("the states are judged %q", wrong)
			}
		})
	}
}

// judgedStates is what is wrong with the states that a shim says after a while, stopped or not.
func judgedStates(t *testing.T, after time.Duration, stopped bool) string {
	t.Helper()
	shim := slowShim{after: after, asked: make(chan struct{}, 1)}
	s := newStates(&stalls{})
	s.open(writeFile(t, "unix://"+serve(t, shim)), "one")
	<-shim.asked
	if stopped {
		s.suspend()
		<-time.After(2 * after) // the answer has come, and counts for nothing
	}
	for began := time.Now(); !stopped && time.Since(began) < time.Minute; <-time.After(time.Millisecond) {
		if s.mu.Lock(); s.asked > 0 {
			s.mu.Unlock()
			break
		}
		s.mu.Unlock()
	}
	s.stop()
	if !s.opened() {
		t.Error("the shim was not reached")
	}
	_, wrong := s.worst()
	return wrong
}

// serve answers on a socket, whose path it returns, until the test ends.
func serve(t *testing.T, shim taskapi.TTRPCTaskService) string {
	t.Helper()
	server, err := ttrpc.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	taskapi.RegisterTTRPCTaskService(server, shim)
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(context.Background(), listener) // it ends with Close
	}()
	t.Cleanup(func() {
		_ = server.Close() // of a test
		<-done
	})
	return path
}

// A limit is for a machine that runs what is ready to run, and grows with what there is more.
func TestAllowance(t *testing.T) {
	now := time.Now()
	at := func(ms int) time.Time { return now.Add(time.Duration(ms) * time.Millisecond) }
	s := &stalls{list: []moment{{at: at(0), ready: 9}, {at: at(10), ready: 0.5}, {at: at(20), ready: 1}, {at: at(30), ready: 9}, {at: at(40), ready: 1, late: time.Second}}}
	for name, test := range map[string]struct {
		from, to int
		want     time.Duration
	}{
		"idle":        {from: 5, to: 20, want: time.Second},
		"busy":        {from: 25, to: 30, want: 9 * time.Second},
		"not woken":   {from: 35, to: 40, want: 2 * time.Second},
		"all of them": {from: 5, to: 40, want: 3875 * time.Millisecond},
	} {
		if got := s.allowUntil(time.Second, at(test.from), at(test.to)); got != test.want {
			t.Errorf("%s: %v are allowed, want %v", name, got, test.want)
		}
	}
	if got := (&stalls{}).allow(time.Second, now); got != time.Second {
		t.Errorf("without a look %v are allowed", got)
	}
}

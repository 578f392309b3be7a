// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"
)

const (
	// stateLimit is how long State may take, whatever happens.
	stateLimit = 200 * time.Millisecond
	// stateEvery spaces the questions.
	stateEvery = 25 * time.Millisecond
	// stateGivesUp is when a question is not waited for any longer.
	stateGivesUp = 20 * time.Second
)

// states asks the shim for the state of its first container, over and over, and keeps the slowest answer.
type states struct {
	stalls *stalls
	once   sync.Once
	ended  chan struct{}
	stops  sync.Once

	mu        sync.Mutex
	connected bool
	suspended int // how often the shim was stopped and is not running again
	epoch     int // changes with each stop and each continuation
	asked     int
	slowest   time.Duration
	slow      string // what is to be said about the first answer that was too slow
}

func newStates(s *stalls) *states { return &states{stalls: s, ended: make(chan struct{})} }

// open begins once the shim has left its address.
func (s *states) open(addressFile, id string) {
	address, err := os.ReadFile(addressFile)
	if err != nil {
		return
	}
	s.once.Do(func() {
		client, err := dialShim(string(address))
		if err != nil {
			return // it is gone already
		}
		s.mu.Lock()
		s.connected = true
		s.mu.Unlock()
		go s.ask(client, id)
	})
}

func dialShim(address string) (*ttrpc.Client, error) {
	conn, err := net.Dial("unix", strings.TrimPrefix(strings.TrimSpace(address), "unix://"))
	if err != nil {
		return nil, fmt.Errorf("reach the shim: %w", err)
	}
	return ttrpc.NewClient(conn), nil
}

// ask hangs up when the shim forgets the container: it would wait for the end of the connection when it leaves.
func (s *states) ask(client *ttrpc.Client, id string) {
	defer client.Close()
	tasks, found := taskapi.NewTTRPCTaskClient(client), false
	for {
		select {
		case <-s.ended:
			return
		case <-time.After(stateEvery):
		}
		epoch, suspended := s.now()
		if suspended {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), stateGivesUp)
		began := time.Now()
		_, err := tasks.State(ctx, &taskapi.StateRequest{ID: id})
		took := time.Since(began)
		excess := took - s.stalls.allow(stateLimit, began)
		cancel()
		switch {
		case errors.Is(err, ttrpc.ErrClosed):
			return
		case err == nil:
			found = true
		case errdefs.IsNotFound(errgrpc.ToNative(err)) && found:
			return
		}
		s.note(epoch, took, excess, err)
	}
}

func (s *states) now() (epoch int, suspended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch, s.suspended > 0
}

// note keeps an answer, unless the shim was stopped meanwhile.
func (s *states) note(epoch int, took, excess time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch != s.epoch {
		return
	}
	s.asked++
	s.slowest = max(s.slowest, took)
	if excess > 0 && s.slow == "" {
		s.slow = fmt.Sprintf("State took %s, %s more than the machine excuses; the answer was %v", round(took), round(excess), err)
	}
}

// opened tells whether there was a connection to ask on.
func (s *states) opened() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected
}

// suspend says that the shim is about to be stopped; resume that it runs again.
func (s *states) suspend() { s.step(1) }
func (s *states) resume()  { s.step(-1) }

func (s *states) step(by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspended += by
	s.epoch++
}

func (s *states) stop() { s.stops.Do(func() { close(s.ended) }) }

// worst is how long the slowest answer took, and what is wrong with one, "" when nothing is.
func (s *states) worst() (time.Duration, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slowest, s.slow
}

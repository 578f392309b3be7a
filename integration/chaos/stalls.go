// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

// stalls knows how much of the machine there was. A limit of time holds for a machine that runs what is ready to run.
// Where k times as many threads are ready as there are processors, it is k times as long; and where a goroutine that
// only sleeps wakes too late, that is added.
type stalls struct {
	mu   sync.Mutex
	list []moment
	done chan struct{}
}

// moment is one look at the machine.
type moment struct {
	at    time.Time
	late  time.Duration // by which this process woke too late
	ready float64       // threads that are ready to run, for each processor
}

const (
	stallLook = 5 * time.Millisecond
	stallKept = 60000 // five minutes
)

func watchStalls() *stalls {
	s := &stalls{done: make(chan struct{})}
	go s.watch()
	return s
}

func (s *stalls) watch() {
	last := time.Now()
	for {
		select {
		case <-s.done:
			return
		case <-time.After(stallLook):
		}
		now := time.Now()
		m := moment{at: now, late: max(0, now.Sub(last)-2*stallLook), ready: ready()}
		last = now
		s.mu.Lock()
		if len(s.list) > 2*stallKept {
			s.list = append([]moment{}, s.list[stallKept:]...)
		}
		s.list = append(s.list, m)
		s.mu.Unlock()
	}
}

// ready reads how many threads want to run; see proc_loadavg(5).
func ready() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 1
	}
	var running int
	if fields := strings.Fields(string(text)); len(fields) > 3 {
		_, _ = fmt.Sscanf(fields[3], "%d/", &running) // 0 if it is something else
	}
	return float64(running) / float64(runtime.NumCPU())
}

func (s *stalls) stop() { close(s.done) }

// allow is what a limit is, for something that began then and lasts until now.
func (s *stalls) allow(limit time.Duration, then time.Time) time.Duration {
	return s.allowUntil(limit, then, time.Now())
}

// allowUntil is what a limit is, for something that began then and ended at another time.
func (s *stalls) allowUntil(limit time.Duration, then, until time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var late time.Duration
	var sum float64
	looks := 0
	for i := len(s.list) - 1; i >= 0 && (looks == 0 || s.list[i].at.After(then)); i-- {
		if i > 0 && !s.list[i-1].at.Before(until) {
			continue // the look right behind the end tells of the time before it
		}
		late += s.list[i].late
		sum += s.list[i].ready
		looks++
	}
	factor := 1.0
	if looks > 0 {
		factor = max(1, sum/float64(looks))
	}
	return time.Duration(float64(limit)*factor) + late
}

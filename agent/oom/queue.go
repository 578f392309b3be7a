// SPDX-License-Identifier: Apache-2.0

package oom

import (
	"context"
	"fmt"
	"sync"
)

// maxQueued bounds the events that nobody has taken yet. A host that takes
// none loses the newest.
const maxQueued = 4096

// queue holds the names of containers, one per kill.
type queue struct {
	// mu guards what follows.
	mu     sync.Mutex
	events []string
	// more is closed, and made anew, when an event comes.
	more chan struct{}
}

func newQueue() *queue { return &queue{more: make(chan struct{})} }

func (q *queue) add(id string, n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for ; n > 0 && len(q.events) < maxQueued; n-- {
		q.events = append(q.events, id)
	}
	close(q.more)
	q.more = make(chan struct{})
}

// next takes the oldest event, waiting for one until ctx ends. A wait that is
// given up takes none.
func (q *queue) next(ctx context.Context) (string, error) {
	for {
		id, more := q.take()
		if more == nil {
			return id, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return "", fmt.Errorf("wait for an OOM event: %w", context.Cause(ctx))
		}
	}
}

func (q *queue) take() (string, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) == 0 {
		return "", q.more
	}
	id := q.events[0]
	q.events = q.events[1:]
	return id, nil
}

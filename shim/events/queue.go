// SPDX-License-Identifier: Apache-2.0

package events

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/containerd/api/types"
	"github.com/containerd/log"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/katapod/katapod/protocols/timeouts"
)

const (
	// maxQueued bounds what waits while containerd is away; the oldest event
	// gives way to a new one. A pod makes a handful per container and exec.
	maxQueued = 4096
)

// Forwarder hands one event over. An error means that it was not taken.
type Forwarder interface {
	Forward(ctx context.Context, event *types.Envelope) error
	// Close releases the connection, if there is one.
	Close() error
}

// Queue holds the events that are not handed over yet. It is safe for
// concurrent use.
type Queue struct {
	namespace string
	forward   Forwarder
	ctx       context.Context
	stop      context.CancelFunc

	// mu guards what follows. It is not held while an event is handed over.
	mu      sync.Mutex
	waiting []*types.Envelope
	dropped int
	closing bool
	wake    chan struct{}
	done    chan struct{}
}

// New starts a queue for the events of a containerd namespace. The queue owns
// the forwarder.
func New(ctx context.Context, namespace string, f Forwarder) *Queue {
	// Events of the end are sent while ctx ends, so only its values count.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	q := &Queue{
		namespace: namespace, forward: f, ctx: ctx, stop: stop,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	// It is the queue's, and ends after Close.
	go q.run()
	return q
}

// Publish queues an event with the current time. It never blocks. An event
// after Close is logged and lost.
func (q *Queue) Publish(event proto.Message) {
	envelope, err := q.envelope(event)
	if err != nil {
		log.G(q.ctx).WithError(err).Error("event not sent")
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closing {
		log.G(q.ctx).WithField("topic", envelope.Topic).Warn("event not sent: the shim is leaving")
		return
	}
	if len(q.waiting) == maxQueued {
		q.waiting = q.waiting[1:]
		q.dropped++
	}
	q.waiting = append(q.waiting, envelope)
	q.signal()
}

func (q *Queue) envelope(event proto.Message) (*types.Envelope, error) {
	name, err := topic(event)
	if err != nil {
		return nil, err
	}
	value, err := proto.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", name, err)
	}
	return &types.Envelope{
		Timestamp: timestamppb.Now(),
		Namespace: q.namespace,
		Topic:     name,
		// Containerd knows its types by the bare name, without a host before it.
		Event: &anypb.Any{TypeUrl: string(event.ProtoReflect().Descriptor().FullName()), Value: value},
	}, nil
}

// Close hands over what waits, until ctx ends, and releases the forwarder.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closing = true
	q.signal()
	q.mu.Unlock()
	defer q.stop()
	select {
	case <-q.done:
		return q.forward.Close()
	case <-ctx.Done():
	}
	q.stop()
	<-q.done
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.forward.Close(); err != nil {
		log.G(q.ctx).WithError(err).Debug("close the connection for events")
	}
	return fmt.Errorf("%d events were not handed over before the shim left: %w", len(q.waiting), ctx.Err())
}

// signal wakes run; the caller holds mu.
func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *Queue) run() {
	defer close(q.done)
	retry := timeouts.EventRetry
	for {
		head, closing := q.head()
		switch {
		case head == nil && closing:
			return
		case head == nil:
			if !q.pause(nil) {
				return
			}
			continue
		}
		err := q.forward.Forward(q.ctx, head)
		if err == nil {
			q.pop(head)
			retry = timeouts.EventRetry
			continue
		}
		log.G(q.ctx).WithError(err).WithField("topic", head.Topic).Warn("containerd did not take an event; it is tried again")
		timer := time.NewTimer(retry)
		again := q.pause(timer.C)
		timer.Stop()
		if !again {
			return
		}
		retry = min(2*retry, timeouts.EventRetryMost)
	}
}

// pause waits for the timer if there is one, otherwise for news; false means
// that the queue ends.
func (q *Queue) pause(timer <-chan time.Time) bool {
	wake := q.wake
	if timer != nil {
		wake = nil
	}
	select {
	case <-q.ctx.Done():
		return false
	case <-timer:
	case <-wake:
	}
	return true
}

func (q *Queue) head() (*types.Envelope, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dropped > 0 {
		log.G(q.ctx).WithField("events", q.dropped).Error("events were lost while containerd was away")
		q.dropped = 0
	}
	if len(q.waiting) == 0 {
		return nil, q.closing
	}
	return q.waiting[0], q.closing
}

// pop removes the event that was handed over, unless it had to give way.
func (q *Queue) pop(sent *types.Envelope) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 && q.waiting[0] == sent {
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
	}
}

// SPDX-License-Identifier: Apache-2.0

package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/proto"
)

// recorder is a Forwarder that refuses the first attempts.
type recorder struct {
	mu     sync.Mutex
	refuse int
	topics []string
	got    []*types.Envelope
	closed bool
	block  chan struct{}
}

func (r *recorder) Forward(ctx context.Context, e *types.Envelope) error {
	if r.block != nil {
		select {
		case <-r.block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse > 0 {
		r.refuse--
		return errors.New("containerd is away")
	}
	r.topics = append(r.topics, e.Topic)
	r.got = append(r.got, e)
	return nil
}

func (r *recorder) Close() error { r.closed = true; return nil }

func TestOrderIsKeptWhileContainerdIsAway(t *testing.T) {
	r := &recorder{refuse: 3}
	q := New(t.Context(), "ns", r)
	q.Publish(&events.TaskCreate{ContainerID: "c"})
	q.Publish(&events.TaskStart{ContainerID: "c", Pid: 7})
	q.Publish(&events.TaskExit{ContainerID: "c", ID: "c", Pid: 7, ExitStatus: 3})
	q.Publish(&events.TaskDelete{ContainerID: "c"})
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "[/tasks/create /tasks/start /tasks/exit /tasks/delete]"
	if got := fmt.Sprint(r.topics); got != want {
		t.Errorf("events arrived as %s, want %s", got, want)
	}
	if !r.closed {
		t.Error("the forwarder was not closed")
	}
}

func TestEnvelopeIsWhatContainerdReads(t *testing.T) {
	r := &recorder{}
	q := New(t.Context(), "k8s.io", r)
	q.Publish(&events.TaskExit{ContainerID: "c", ID: "e", ExitStatus: 137})
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := r.got[0]
	if e.Namespace != "k8s.io" || e.Event.TypeUrl != "containerd.events.TaskExit" || e.Timestamp.AsTime().IsZero() {
		t.Errorf("envelope %v", e)
	}
	var exit events.TaskExit
	if err := proto.Unmarshal(e.Event.Value, &exit); err != nil || exit.ExitStatus != 137 || exit.ID != "e" {
		t.Errorf("event %v, error %v", &exit, err)
	}
}

func TestPublishNeverBlocks(t *testing.T) {
	r := &recorder{block: make(chan struct{})}
	q := New(t.Context(), "ns", r)
	published := make(chan struct{})
	go func() {
		defer close(published)
		for range maxQueued + 100 {
			q.Publish(&events.TaskOOM{ContainerID: "c"})
		}
	}()
	select {
	case <-published:
	case <-time.After(time.Minute):
		t.Fatal("Publish blocked on a containerd that does not answer")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := q.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close with events left returned %v", err)
	}
}

func TestEveryTaskEventHasATopic(t *testing.T) {
	for _, e := range []proto.Message{
		&events.TaskCreate{}, &events.TaskStart{}, &events.TaskExit{}, &events.TaskDelete{}, &events.TaskOOM{},
		&events.TaskExecAdded{}, &events.TaskExecStarted{}, &events.TaskPaused{}, &events.TaskResumed{},
	} {
		if name, err := topic(e); err != nil || name == "" {
			t.Errorf("%T: topic %q, error %v", e, name, err)
		}
	}
	if _, err := topic(&events.ImageCreate{}); err == nil {
		t.Error("an event that no shim sends has a topic")
	}
}

func TestWithoutAnAddressEventsGoToTheLog(t *testing.T) {
	f, err := NewForwarder("")
	if err != nil {
		t.Fatal(err)
	}
	q := New(t.Context(), "ns", f)
	q.Publish(&events.TaskOOM{ContainerID: "c"})
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

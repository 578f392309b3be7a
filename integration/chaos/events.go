// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	taskevents "github.com/containerd/containerd/api/events"
)

// eventLog follows containerd's events about tasks.
type eventLog struct {
	cancel context.CancelFunc

	mu     sync.Mutex
	list   []taskEvent
	gaps   int             // how often the subscription broke off in this cycle
	past   map[string]bool // containers of earlier cycles
	behind []taskEvent     // events of those that came in this one
}

// taskEvent is one of them: "exit", or "exit exec" for a process that joined the container.
type taskEvent struct {
	container, name string
	code            uint32
	at              time.Time
}

func newEventLog(cancel context.CancelFunc) *eventLog {
	return &eventLog{cancel: cancel, past: map[string]bool{}}
}

func followEvents(conn *grpc.ClientConn) *eventLog {
	ctx, cancel := context.WithCancel(context.Background())
	l := newEventLog(cancel)
	go l.follow(ctx, eventsapi.NewEventsClient(conn))
	return l
}

func (l *eventLog) follow(ctx context.Context, client eventsapi.EventsClient) {
	for ctx.Err() == nil {
		stream, err := client.Subscribe(ctx, &eventsapi.SubscribeRequest{Filters: []string{`topic~="^/tasks/"`}}, grpc.WaitForReady(true))
		for err == nil {
			var envelope *types.Envelope
			if envelope, err = stream.Recv(); err == nil {
				l.add(envelope)
			}
		}
		l.mu.Lock()
		l.gaps++
		l.mu.Unlock()
	}
}

// add keeps an event of those that the life of a container consists of.
func (l *eventLog) add(envelope *types.Envelope) {
	e := taskEvent{name: strings.TrimPrefix(envelope.Topic, "/tasks/"), at: time.Now()}
	body := envelope.Event.GetValue()
	switch e.name {
	case "create":
		var v taskevents.TaskCreate
		decodeEvent(body, &v)
		e.container = v.ContainerID
	case "start":
		var v taskevents.TaskStart
		decodeEvent(body, &v)
		e.container = v.ContainerID
	case "delete":
		var v taskevents.TaskDelete
		decodeEvent(body, &v)
		e.container = v.ContainerID
		if v.ID != "" && v.ID != v.ContainerID {
			return // of an exec, which not every engine tells
		}
	case "exit":
		var v taskevents.TaskExit
		decodeEvent(body, &v)
		e.container, e.code = v.ContainerID, v.ExitStatus
		if v.ID != v.ContainerID {
			e.name = "exit " + v.ID
		}
	case "exec-started":
		var v taskevents.TaskExecStarted
		decodeEvent(body, &v)
		e.container, e.name = v.ContainerID, "start "+v.ExecID
	default:
		return
	}
	l.keep(e)
}

func (l *eventLog) keep(e taskEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.past[e.container] {
		l.behind = append(l.behind, e)
		return
	}
	l.list = append(l.list, e)
}

// retire says that no further event of the containers is to come.
func (l *eventLog) retire(containers []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range containers {
		l.past[id] = true
	}
}

// begin forgets the events so far.
func (l *eventLog) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list, l.gaps, l.behind = nil, 0, nil
}

// late are events of containers of earlier cycles.
func (l *eventLog) late() []taskEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.behind
}

// of are the events of a container, and whether some may be missing.
func (l *eventLog) of(container string) (list []taskEvent, gaps bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.list {
		if e.container == container {
			list = append(list, e)
		}
	}
	return list, l.gaps > 0
}

func (l *eventLog) stop() { l.cancel() }

// disorder says what is wrong with the events of one container, "" when nothing is: each comes once; create, start,
// exit and delete in that order; the exits of execs behind their starts and before the container's delete; and what
// started has ended. With gaps, what is missing is not missed.
func disorder(list []taskEvent, gaps bool) string {
	at := map[string]int{}
	for i, e := range list {
		if _, twice := at[e.name]; twice {
			return fmt.Sprintf("%s came twice: %s", e.name, names(list))
		}
		at[e.name] = i
	}
	ordered := func(first, second string) bool {
		i, one := at[first]
		j, two := at[second]
		return !two || one && i < j || !one && gaps
	}
	pairs := [][2]string{{"create", "start"}, {"create", "exit"}, {"exit", "delete"}}
	for name := range at {
		if exec, found := strings.CutPrefix(name, "exit "); found {
			pairs = append(pairs, [2]string{"start " + exec, name})
		}
	}
	if _, ran := at["start"]; ran {
		pairs = append(pairs, [2]string{"start", "exit"})
		if _, ended := at["exit"]; !ended && !gaps {
			return "it started and its exit never came: " + names(list)
		}
	} else {
		pairs = pairs[:0] // an engine may delete what never started without a word
	}
	for _, p := range pairs {
		if !ordered(p[0], p[1]) {
			return fmt.Sprintf("%s is not before %s: %s", p[0], p[1], names(list))
		}
	}
	return ""
}

func names(list []taskEvent) string {
	var words []string
	for _, e := range list {
		word, _, _ := strings.Cut(e.name, " ")
		if word != e.name {
			word += "(exec)"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// decodeEvent reads the body of an event that containerd has encoded; one that is odd stays empty.
func decodeEvent(body []byte, into proto.Message) { _ = proto.Unmarshal(body, into) }

// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/images"
)

// event is one that containerd sent to its subscribers.
type event struct {
	namespace, topic string
	fields           map[string]any
}

// eventLog follows containerd's events until the end of a test.
type eventLog struct {
	t    *testing.T
	path string
}

// followEvents returns once the subscription works.
func followEvents(t *testing.T) *eventLog {
	t.Helper()
	ctx := begin(t)
	path := filepath.Join(t.TempDir(), "events")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	listening, stop := context.WithCancel(ctx)
	listener := shared.Runner().Command(listening, "ctr", "events")
	listener.Stdout = file
	if err := listener.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = listener.Wait() // it was stopped
		_ = file.Close()    // it was read by its name
	})
	l := &eventLog{t, path}
	// The event of a label that changes says that the subscription works.
	waitFor(t, soon, "the subscription to events", func() bool {
		_, err := shared.Ctr(ctx, "images", "label", images.Busybox, "seen=1")
		return err != nil || l.text() != ""
	})
	return l
}

func (l *eventLog) text() string {
	l.t.Helper()
	text, err := os.ReadFile(l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

// of are the task events of a container in the order in which they came.
func (l *eventLog) of(container string) []event {
	l.t.Helper()
	var found []event
	for line := range strings.Lines(l.text()) {
		head, fields, complete := strings.Cut(strings.TrimSpace(line), " {")
		words := strings.Fields(head)
		if !complete || !strings.HasSuffix(line, "\n") || !strings.HasPrefix(words[len(words)-1], "/tasks/") {
			continue
		}
		e := event{namespace: words[len(words)-2], topic: strings.TrimPrefix(words[len(words)-1], "/tasks/")}
		if err := json.Unmarshal([]byte("{"+fields), &e.fields); err != nil {
			l.t.Fatalf("event %q: %v", line, err)
		}
		if e.fields["container_id"] == container {
			found = append(found, e)
		}
	}
	return found
}

// wait waits for the container's own event of a topic.
func (l *eventLog) wait(container, topic string) {
	l.t.Helper()
	waitFor(l.t, soon, topic+" of "+container, func() bool { return slices.Contains(names(l.of(container)), topic) })
}

// names are the events' topics, with the exec or process that each is about.
func names(list []event) []string {
	var out []string
	for _, e := range list {
		name := e.topic
		if id, _ := e.fields["exec_id"].(string); id != "" {
			name += " exec"
		}
		if id, _ := e.fields["id"].(string); id != "" && id != e.fields["container_id"] {
			name += " exec"
		}
		out = append(out, name)
	}
	return out
}

// expect waits for the events of a container, which have to be those and no others, and checks what each tells.
func (l *eventLog) expect(container, namespace string, exit int, want ...string) {
	l.t.Helper()
	defer func() {
		if l.t.Failed() {
			l.t.Logf("events of %s: %+v", container, l.of(container))
		}
	}()
	waitFor(l.t, soon, "the events of a container: "+strings.Join(want, ", "), func() bool { return len(l.of(container)) >= len(want) })
	list := l.of(container)
	if got := names(list); !slices.Equal(got, want) {
		l.t.Errorf("the events were %q, want %q", got, want)
	}
	var pid any
	for _, e := range list {
		if e.namespace != namespace {
			l.t.Errorf("%s came in the namespace %s", e.topic, e.namespace)
		}
		if p, found := e.fields["pid"]; found && pid != nil && p != pid {
			l.t.Errorf("%s has pid %v, an earlier event %v", e.topic, p, pid)
		} else if found {
			pid = p
		}
		e.check(l.t, exit)
	}
}

// check looks for every field that such an event has.
func (e event) check(t *testing.T, exit int) {
	t.Helper()
	filled := map[string][]string{
		"create": {"bundle", "rootfs", "io", "pid"}, "start": {"pid"}, "exec-added": {"exec_id"}, "exec-started": {"exec_id", "pid"},
		"exit": {"id", "pid", "exited_at"}, "delete": {"id", "pid", "exited_at"}, "oom": nil, "paused": nil, "resumed": nil,
	}
	keys, known := filled[e.topic]
	if !known {
		t.Errorf("an event of the topic %s", e.topic)
	}
	for _, key := range keys {
		if v := e.fields[key]; v == nil || v == "" || v == float64(0) {
			t.Errorf("%s has no %s: %v", e.topic, key, e.fields)
		}
	}
	code, _ := e.fields["exit_status"].(float64)
	if e.fields["id"] == e.fields["container_id"] && int(code) != exit {
		t.Errorf("%s has exit status %v, want %d", e.topic, code, exit)
	}
	if at, found := e.fields["exited_at"].(map[string]any); found {
		if seconds, _ := at["seconds"].(float64); time.Since(time.Unix(int64(seconds), 0)).Abs() > 5*time.Minute {
			t.Errorf("%s has the time of exit %v", e.topic, at)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package oom

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/katapod/katapod/agent/cgroup"
	"github.com/katapod/katapod/integration/leaktest"
)

func kills(t *testing.T, dir string, n int) {
	t.Helper()
	text := fmt.Sprintf("low 0\nhigh 0\nmax 9\noom %d\noom_kill %d\n", n, n)
	if err := os.WriteFile(filepath.Join(dir, "memory.events"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func newWatcher(t *testing.T) *Watcher {
	t.Helper()
	w, err := New()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); leaktest.Receive(t, done) })
	return w
}

func next(t *testing.T, w *Watcher, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i, id := range want {
		if got, err := w.Next(ctx); err != nil || got != id {
			t.Fatalf("event %d: %q, %v", i, got, err)
		}
	}
}

func TestEveryKillIsAnEvent(t *testing.T) {
	w, dir := newWatcher(t), t.TempDir()
	kills(t, dir, 1)
	if err := w.Watch("c", cgroup.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	next(t, w, "c")
	kills(t, dir, 3)
	next(t, w, "c", "c")
	kills(t, dir, 4)
	next(t, w, "c")
	if len(w.queue.events) != 0 {
		t.Errorf("too many events: %v", w.queue.events)
	}
}

func TestFlushNeedsNoNotification(t *testing.T) {
	w, err := New() // not run: no notification is ever read
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	kills(t, dir, 0)
	if err := w.Watch("c", cgroup.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	kills(t, dir, 2)
	w.Flush("c")
	w.Flush("c")
	next(t, w, "c", "c")
	w.Forget("c")
	w.Forget("c")
	kills(t, dir, 3)
	w.Flush("c")
	if len(w.queue.events) != 0 || len(w.byWD) != 0 {
		t.Errorf("a forgotten container is watched: %v", w.queue.events)
	}
}

func TestWaitThatIsGivenUpTakesNothing(t *testing.T) {
	w := newWatcher(t)
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error)
	go func() { _, err := w.Next(ctx); failed <- err }()
	cancel()
	if err := leaktest.Receive(t, failed); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	w.queue.add("c", 1)
	next(t, w, "c")
}

func TestQueueIsBounded(t *testing.T) {
	q := newQueue()
	q.add("c", 1<<40)
	if len(q.events) != maxQueued {
		t.Errorf("%d events", len(q.events))
	}
}

func TestNoMemoryController(t *testing.T) {
	w := newWatcher(t)
	if err := w.Watch("c", cgroup.Dir(t.TempDir())); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

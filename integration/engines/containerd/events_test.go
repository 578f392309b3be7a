// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/engines/engine"
	"github.com/katapod/katapod/integration/images"
)

// testEvents holds the events of a task and of a process that joined it against the order that clients rely on. The
// deletion's event comes from containerd itself in some versions and may overtake the shim's.
func testEvents(t *testing.T, e *engine.Engine) {
	if e.Runtime == engine.Runc {
		t.Skip("runc's shim ends at times before it has sent the last events of a short task")
	}
	seen := listen(t, e)
	const id = "events"
	e.Run(t, "ctr", "run", "--detach", "--runtime", e.Runtime, images.Busybox, id, "probe", "pause")
	e.Run(t, "ctr", "tasks", "exec", "--exec-id", "joined", id, "true")
	e.Run(t, "ctr", "tasks", "pause", id)
	e.Run(t, "ctr", "tasks", "resume", id)
	e.Run(t, "ctr", "tasks", "kill", "--signal", "SIGTERM", id)
	waitStopped(t, e, id)
	e.Try(t, "ctr", "tasks", "delete", id) // its exit code is the task's
	e.Run(t, "ctr", "containers", "delete", id)
	want := []string{
		"/tasks/create", "/tasks/start", "/tasks/exec-added", "/tasks/exec-started", "/tasks/exit",
		"/tasks/paused", "/tasks/resumed", "/tasks/exit",
	}
	defer func() {
		if t.Failed() {
			t.Logf("events: %s", seen())
		}
	}()
	engine.WaitFor(t, 20*time.Second, "the events of a task, in order: "+strings.Join(want, " "), func() bool {
		return strings.Contains(seen(), "/tasks/delete") && ordered(seen(), want)
	})
}

// listen follows the events of containerd until the test ends.
func listen(t *testing.T, e *engine.Engine) func() string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "events"))
	if err != nil {
		t.Fatal(err)
	}
	seen := func() string {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	ctx, stop := context.WithCancel(t.Context())
	listener := e.Runner().Command(ctx, "ctr", "events")
	listener.Stdout = file
	if err := listener.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = listener.Wait() // it was stopped
		_ = file.Close()    // what it holds was read by its name
	})
	// The event of a label that changes says that the subscription works.
	engine.WaitFor(t, 20*time.Second, "the subscription to events", func() bool {
		e.Run(t, "ctr", "images", "label", images.Busybox, "seen=1")
		return seen() != ""
	})
	return seen
}

// ordered tells whether the words are in the text one after the other.
func ordered(text string, words []string) bool {
	for _, word := range words {
		_, after, found := strings.Cut(text, word)
		if !found {
			return false
		}
		text = after
	}
	return true
}

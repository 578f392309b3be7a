// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/engines/engine"
	"github.com/katapod/katapod/integration/images"
)

// Everything that clients do works the same under every containerd.
func TestContainerd(t *testing.T) {
	for _, version := range []string{"1.7", "2.1", "2.4"} {
		r := releases()[version]
		t.Run(version, func(t *testing.T) {
			e := r.start(t)
			if got := e.Run(t, "containerd", "--version"); !strings.Contains(got, r.says) {
				t.Fatalf("the node's containerd is %q, not %s", got, r.says)
			}
			t.Run("snapshotters", func(t *testing.T) { testSnapshotters(t, e, r.snapshotters) })
			t.Run("task", func(t *testing.T) { testTask(t, e, r.task) })
			t.Run("events", func(t *testing.T) { testEvents(t, e) })
			t.Run("pod", func(t *testing.T) { testPod(t, e) })
			t.Run("restart", func(t *testing.T) { testAway(t, e, e.RestartContainerd) })
			t.Run("crash", func(t *testing.T) { testAway(t, e, e.CrashContainerd) })
		})
	}
}

// testSnapshotters runs a container on a root file system of each kind; with runc first, because what containerd
// keeps of an image, such as a mount of its layer, is no leftover of the runtime.
func testSnapshotters(t *testing.T, e *engine.Engine, snapshotters []string) {
	for _, name := range snapshotters {
		e.Run(t, "ctr", "run", "--rm", "--runtime", engine.Runc, "--runc-root", e.Root+"/runc", "--snapshotter", name,
			images.Busybox, "first-"+name, "true")
	}
	e.Settle(t)
	for _, name := range snapshotters {
		t.Run(name, func(t *testing.T) {
			e.Want(t, "written\n", "ctr", "run", "--rm", "--runtime", e.Runtime, "--snapshotter", name,
				images.Busybox, "snap-"+name, "sh", "-c", "echo written >/new && cat /new")
			e.WantNothingLeft(t)
		})
	}
}

// testTask goes through the calls of the Task API with ctr, and looks at which version of it containerd was offered.
func testTask(t *testing.T, e *engine.Engine, version int) {
	const id = "task"
	e.Run(t, "ctr", "run", "--detach", "--runtime", e.Runtime, images.Busybox, id, "probe", "pause")
	if got := offered(t, e, id); e.Runtime == engine.Kata && got.Version != version {
		t.Errorf("the shim answered %+v at its start, want version %d of the Task API", got, version)
	}
	exec := func(name string, words ...string) []string {
		return append([]string{"tasks", "exec", "--exec-id", name, id}, words...)
	}
	e.Want(t, "inside\n", "ctr", exec("echo", "echo", "inside")...)
	if res := e.Try(t, "ctr", exec("code", "sh", "-c", "exit 42")...); res.Code != 42 {
		t.Errorf("a process that calls exit 42 ended with code %d: %s", res.Code, res.Stderr)
	}
	for _, step := range []struct{ call, state string }{{"pause", "PAUSED"}, {"resume", "RUNNING"}} {
		e.Run(t, "ctr", "tasks", step.call, id)
		if got := e.Run(t, "ctr", "tasks", "list"); !strings.Contains(got, step.state) {
			t.Errorf("after %s, the tasks are %q", step.call, got)
		}
	}
	if got := e.Run(t, "ctr", "tasks", "metrics", id); !strings.Contains(got, "memory") {
		t.Errorf("the task's metrics are %q", got)
	}
	if got := e.Run(t, "ctr", "tasks", "ps", id); len(strings.Fields(got)) < 3 {
		t.Errorf("the task's processes are %q", got)
	}
	e.Run(t, "ctr", "tasks", "kill", "--signal", "SIGKILL", id)
	waitStopped(t, e, id)
	if res := e.Try(t, "ctr", "tasks", "delete", id); !strings.Contains(res.Stdout+res.Stderr, "137") && res.Code != 137 {
		t.Errorf("deleting a killed task ended with %d and said %q, want its exit code 137", res.Code, res.Stdout+res.Stderr)
	}
	e.Run(t, "ctr", "containers", "delete", id)
	e.WantNothingLeft(t)
}

// waitStopped waits for the end of a task.
func waitStopped(t *testing.T, e *engine.Engine, id string) {
	t.Helper()
	engine.WaitFor(t, time.Minute, "the end of task "+id, func() bool {
		for line := range strings.Lines(e.Run(t, "ctr", "tasks", "list")) {
			if fields := strings.Fields(line); fields[0] == id {
				return fields[len(fields)-1] == "STOPPED"
			}
		}
		return false
	})
}

// bootstrap is what a shim answered at its start, as containerd keeps it in the bundle.
type bootstrap struct {
	Version    int             `json:"version"`
	Address    string          `json:"address"`
	Protocol   string          `json:"protocol"`
	Extensions json.RawMessage `json:"extensions"`
}

// offered reads the answer from the bundle of a container of ctr. containerd 1.7 keeps an address alone when that is
// all the shim said, which is how version 2 is spoken.
func offered(t *testing.T, e *engine.Engine, id string) bootstrap {
	t.Helper()
	bundle := filepath.Join(e.Root, "state/io.containerd.runtime.v2.task", e.Name(), id)
	text, err := os.ReadFile(filepath.Join(bundle, "bootstrap.json"))
	if os.IsNotExist(err) {
		address, err := os.ReadFile(filepath.Join(bundle, "address"))
		if err != nil {
			t.Fatal(err)
		}
		return bootstrap{Version: 2, Address: string(address), Protocol: "ttrpc"}
	}
	if err != nil {
		t.Fatal(err)
	}
	var b bootstrap
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatalf("read %s: %v", text, err)
	}
	return b
}

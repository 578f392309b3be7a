// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/engines/engine"
	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// task is the container of ctr that runs beside the pod while containerd is away.
const task = "away-task"

// ticking is a shell that prints a line each second, and does what it is told besides.
const ticking = "(n=0; while :; do echo tick$n; n=$((n+1)); sleep 1; done) & " + node.PlainShell

// testAway takes containerd away and brings it back: pods and tasks go on meanwhile and are adopted.
func testAway(t *testing.T, e *engine.Engine, comeBack func(context.Context) error) {
	p := startPod(t, e, "away")
	id := p.start(t, node.Container{Name: "main", Args: []string{"sh", "-c", ticking}, TTY: true, Stdin: true})
	e.Run(t, "ctr", "run", "--detach", "--runtime", e.Runtime, images.Busybox, task, "probe", "pause")
	e.Run(t, "crictl", "exec", id, "sh", "-c", "echo kept >/dev/shm/file")
	p.waitLog(t, "main", "tick0")
	running := living(t, e)
	if err := comeBack(engine.Context(t)); err != nil {
		t.Fatal(err)
	}
	engine.WaitFor(t, time.Minute, "CRI, which containerd 1.7 starts last", func() bool {
		return e.Try(t, "crictl", "version").Code == 0
	})
	if got := p.inspect(t, id).State; got != "CONTAINER_RUNNING" {
		t.Errorf("when containerd is back the container is in state %s", got)
	}
	if now := living(t, e); now != running {
		t.Errorf("the shims and VMMs were %s and are %s", running, now)
	}
	e.Want(t, "kept\n", "crictl", "exec", id, "cat", "/dev/shm/file")
	e.Want(t, "adopted\n", "ctr", "tasks", "exec", "--exec-id", "after", task, "echo", "adopted")
	more := p.start(t, node.Container{Name: "more", Args: []string{"sh", "-c", "exit 7"}})
	p.wantEnd(t, more, 7, "Error")
	p.wantMoreTicks(t)
	p.attachAndExit(t, id)
	p.wantEnd(t, id, 5, "Error")
	p.waitLog(t, "main", "at42ached")
	e.Run(t, "ctr", "tasks", "delete", "--force", task)
	e.Run(t, "ctr", "containers", "delete", task)
	p.remove(t)
}

// attachAndExit has a dialogue with the container's shell, which it ends with code 5.
func (p *pod) attachAndExit(t *testing.T, id string) {
	t.Helper()
	ctx := engine.Context(t)
	term, err := p.Runner().StartTerminal(ctx, 80, 24, "crictl", "attach", "--stdin", "--tty", id)
	if err != nil {
		t.Fatal(err)
	}
	if err := term.Dialogue(ctx, "echo at$((6*7))ached\n", "at42ached", "exit 5\n", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := term.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

// wantMoreTicks waits until the log goes on.
func (p *pod) wantMoreTicks(t *testing.T) {
	t.Helper()
	ticks := func() int {
		text, err := os.ReadFile(filepath.Join(p.PodLogs(), p.spec.Name, "main.log"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "tick")
	}
	before := ticks()
	engine.WaitFor(t, time.Minute, "more lines in the log of a container", func() bool { return ticks() > before+1 })
}

// living lists the shims and VMMs of the node, which stay the same while containerd is away.
func living(t *testing.T, e *engine.Engine) string {
	t.Helper()
	processes, err := e.PodProcesses()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, p := range processes {
		if strings.HasPrefix(p.Name(), "qemu-system") || strings.HasPrefix(p.Name(), "containerd-shim") {
			found = append(found, fmt.Sprint(p.PID, " ", p.Name()))
		}
	}
	slices.Sort(found)
	return strings.Join(found, ", ")
}

// A node's containerd is upgraded from 1.7 to 2.4, over the same directories, while pods run.
func TestUpgrade(t *testing.T) {
	r := releases()["1.7"]
	r.node = "kpnode-ctdup"
	e := r.start(t)
	for _, own := range []string{"io.containerd.mount-manager.v1.bolt", "io.containerd.sandbox.controller.v1.shim"} {
		e.Ignore(filepath.Join(e.Root, "state", own)) // containerd 2.4 makes these for itself
	}
	testAway(t, e, func(ctx context.Context) error { return e.ReplaceContainerd(ctx, "", "") })
	if got, want := e.Run(t, "containerd", "--version"), releases()["2.4"].says; !strings.Contains(got, want) {
		t.Errorf("the node's containerd is %q, not %s", got, want)
	}
}

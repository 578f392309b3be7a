// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/engines/engine"
	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// pod is a pod that crictl made, with the engine it runs under.
type pod struct {
	*engine.Engine
	spec node.Pod
	id   string
}

func startPod(t *testing.T, e *engine.Engine, name string) *pod {
	t.Helper()
	spec := node.Pod{Name: name, Hostname: name + "-host", Handler: "kata"}
	if e.Runtime == engine.Runc {
		spec.Handler = "runc"
	}
	id, err := e.RunPod(engine.Context(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	return &pod{e, spec, id}
}

// start creates and starts a container of the test image.
func (p *pod) start(t *testing.T, c node.Container) string {
	t.Helper()
	c.Image = images.Busybox
	id, err := p.StartContainer(engine.Context(t), p.id, p.spec, c)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// inspected is what CRI says of a container.
type inspected struct {
	State, Reason string
	ExitCode      int
}

func (p *pod) inspect(t *testing.T, id string) inspected {
	t.Helper()
	var found struct{ Status inspected }
	if err := p.CrictlJSON(engine.Context(t), &found, "inspect", id); err != nil {
		t.Fatal(err)
	}
	return found.Status
}

// wantEnd waits for a container's end and looks at how it ended.
func (p *pod) wantEnd(t *testing.T, id string, code int, reason string) {
	t.Helper()
	engine.WaitFor(t, time.Minute, "the end of a container", func() bool {
		return p.inspect(t, id).State == "CONTAINER_EXITED"
	})
	if got := p.inspect(t, id); got.ExitCode != code || got.Reason != reason {
		t.Errorf("the container ended with code %d, reason %q; want %d, %q", got.ExitCode, got.Reason, code, reason)
	}
}

// waitLog waits until the text stands in the log of a container.
func (p *pod) waitLog(t *testing.T, container, text string) {
	t.Helper()
	path := filepath.Join(p.PodLogs(), p.spec.Name, container+".log")
	engine.WaitFor(t, time.Minute, text+" in "+path, func() bool {
		log, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(log), text)
	})
}

func (p *pod) remove(t *testing.T) {
	t.Helper()
	if err := p.RemovePod(engine.Context(t), p.id); err != nil {
		t.Error(err)
	}
	p.WantNothingLeft(t)
}

// testPod goes through what a kubelet asks for.
func testPod(t *testing.T, e *engine.Engine) {
	p := startPod(t, e, "pod")
	one := p.start(t, node.Container{
		Name: "one", Args: []string{"probe", "listen", "127.0.0.1:7001", "hello"},
		Linux: map[string]any{"resources": map[string]any{"memory_limit_in_bytes": 64 << 20}},
	})
	two := p.start(t, node.Container{Name: "two", Args: []string{"sh", "-c", "echo log$((6*7))ged; echo bad >&2; exec probe pause"}})
	p.waitLog(t, "one", "listening")
	p.waitLog(t, "two", "waiting")

	t.Run("exec", func(t *testing.T) { testExec(t, p, two) })
	t.Run("logs", func(t *testing.T) {
		if res := e.Try(t, "crictl", "logs", two); !strings.Contains(res.Stdout, "log42ged\n") || !strings.Contains(res.Stderr, "bad\n") {
			t.Errorf("the log is %q, and of errors %q", res.Stdout, res.Stderr)
		}
	})
	t.Run("stats", func(t *testing.T) { testStats(t, p, one) })
	t.Run("update", func(t *testing.T) {
		limit := []string{"exec", one, "sh", "-c", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true"}
		e.Want(t, "67108864\n", "crictl", limit...)
		e.Run(t, "crictl", "update", "--memory", "100663296", one)
		e.Want(t, "100663296\n", "crictl", limit...)
	})
	t.Run("a container again", func(t *testing.T) {
		e.Run(t, "crictl", "stop", "--timeout", "20", two)
		p.wantEnd(t, two, 0, "Completed")
		e.Run(t, "crictl", "rm", two)
		again := p.start(t, node.Container{Name: "two", Args: []string{"probe", "eat", "200000000"},
			Linux: map[string]any{"resources": map[string]any{"memory_limit_in_bytes": 40 << 20}}})
		p.wantEnd(t, again, 137, "OOMKilled")
	})
	p.remove(t)
}

func testExec(t *testing.T, p *pod, id string) {
	p.Want(t, "hello\n", "crictl", "exec", id, "probe", "dial", "127.0.0.1:7001")
	p.Want(t, "pod-host\n", "crictl", "exec", id, "hostname")
	if got := p.Run(t, "crictl", "exec", "--sync", id, "echo", "sync"); strings.TrimSpace(got) != "sync" {
		t.Errorf("a synchronous exec printed %q", got)
	}
	if res := p.Try(t, "crictl", "exec", id, "sh", "-c", "exit 42"); res.Code == 0 || !strings.Contains(res.Stderr, "42") {
		t.Errorf("a process that calls exit 42 ended with code %d and %q", res.Code, res.Stderr)
	}
	ctx := engine.Context(t)
	text := strings.Repeat("0123456789abcde\n", 1<<14)
	got, err := p.Runner().With(strings.NewReader(text)).Run(ctx, "crictl", "exec", "--interactive", id, "cat")
	if err != nil || got != text {
		t.Errorf("of %d bytes through cat, %d came back, error %v", len(text), len(got), err)
	}
	term, err := p.Runner().StartTerminal(ctx, 101, 33, "crictl", "exec", "--interactive", "--tty", id, "sh", "-c", node.PlainShell)
	if err != nil {
		t.Fatal(err)
	}
	if err := term.Dialogue(ctx, "until stty size 2>/dev/null | grep '33 101'; do :; done; echo s''ized\n", "sized", "exit 3\n", ""); err != nil {
		t.Fatal(err)
	}
	if code, err := term.Wait(ctx); err != nil || code == 0 {
		t.Errorf("a shell that ended with exit 3 gave code %d, error %v", code, err)
	}
}

func testStats(t *testing.T, p *pod, id string) {
	var stats struct {
		Stats []struct {
			CPU    struct{ UsageCoreNanoSeconds struct{ Value string } }
			Memory struct{ WorkingSetBytes struct{ Value string } }
		}
	}
	if err := p.CrictlJSON(engine.Context(t), &stats, "stats", "--id", id); err != nil {
		t.Fatal(err)
	}
	if len(stats.Stats) != 1 || len(stats.Stats[0].Memory.WorkingSetBytes.Value) < 5 || stats.Stats[0].CPU.UsageCoreNanoSeconds.Value == "0" {
		t.Errorf("the container's stats are %+v", stats)
	}
	if out := p.Run(t, "crictl", "statsp", "--id", p.id, "--output", "json"); !strings.Contains(out, p.id) {
		t.Errorf("the pod's stats are %q", out)
	}
}

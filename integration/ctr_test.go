// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"strings"
	"testing"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// The root file system reaches the container whatever snapshotter holds it.
func TestCtrRunOnSnapshotters(t *testing.T) {
	ctx := begin(t)
	for _, snapshotter := range []string{"overlayfs", "native", "erofs", "blockfile"} {
		t.Run(snapshotter, func(t *testing.T) {
			script := "echo written >/new && cat /new && ls -i /bin/sh /bin/cat | awk '{print $1}' | uniq | wc -l"
			out, err := shared.Ctr(ctx, ctrRun("--snapshotter", snapshotter, images.Busybox, "snap-"+snapshotter, "sh", "-c", script)...)
			if err != nil {
				t.Fatal(err)
			}
			if want := "written\n1\n"; !strings.HasSuffix(out, want) {
				t.Errorf("the container printed %q, want %q: a file of its own, and hard links that are links", out, want)
			}
		})
	}
}

func TestCtrKernel(t *testing.T) {
	ctx := begin(t)
	guest, err := shared.Ctr(ctx, ctrRun(images.Busybox, "kernel", "uname", "-srv")...)
	if err != nil {
		t.Fatal(err)
	}
	machine, err := shared.Runner().Run(ctx, "uname", "-srv")
	if err != nil {
		t.Fatal(err)
	}
	if (guest == machine) != (shared.runtime == "runc") {
		t.Errorf("with %s, the container's kernel is %q and the machine's is %q", shared.runtime, guest, machine)
	}
}

// What the container's first process is started with, and how its end is told.
func TestCtrProcess(t *testing.T) {
	ctx := begin(t)
	for _, c := range []struct {
		name, flags, script string
		code                int
		want                string
	}{
		{"exit code", "", "exit 3", 3, ""},
		{"a child ended by a signal", "", "sh -c 'kill -KILL $$'; exit $?", 137, ""},
		{"environment", "--env COLOUR=blue", "echo $COLOUR", 0, "blue\n"},
		{"directory", "--cwd /tmp", "pwd", 0, "/tmp\n"},
		{"user", "--user 1000:2000", "id -u; id -g", 0, "1000\n2000\n"},
		{"read-only root", "--read-only", "touch /x 2>/dev/null || echo refused", 0, "refused\n"},
		{"hostname", "--hostname=named", "hostname", 0, "named\n"},
		{"error output", "", "echo on stderr >&2; exit 1", 1, ""},
		{"capabilities", "--cap-drop CAP_NET_RAW", "grep -c CapEff /proc/self/status", 0, "1\n"},
		{"output of 8 MiB", "", "head -c 8388608 /dev/zero | tr '\\0' x", 0, strings.Repeat("x", 8<<20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append(strings.Fields(c.flags), images.Busybox, "process", "sh", "-c", c.script)
			res, err := shared.Runner().Try(ctx, "ctr", ctrRun(args...)...)
			if err != nil {
				t.Fatal(err)
			}
			if res.Code != c.code || res.Stdout != c.want {
				t.Errorf("exit code %d and %d bytes of output (%.60q), want %d and %d bytes (%.60q); error output: %s",
					res.Code, len(res.Stdout), res.Stdout, c.code, len(c.want), c.want, res.Stderr)
			}
		})
	}
}

func TestCtrStdin(t *testing.T) {
	ctx := begin(t)
	text := strings.Repeat("0123456789abcde\n", 1<<17) // 2 MiB
	runner := shared.Runner().With(strings.NewReader(text))
	got, err := runner.Run(ctx, "ctr", ctrRun(images.Busybox, "stdin", "sh", "-c", "cat | sha256sum")...)
	if want := sha256sum(text) + "  -\n"; err != nil || got != want {
		t.Errorf("the checksum of 2 MiB through stdin is %q, want %q, error %v", got, want, err)
	}
}

func TestCtrTerminal(t *testing.T) {
	ctx := begin(t)
	term, err := shared.Runner().StartTerminal(ctx, 90, 30, "ctr", ctrRun("--tty", images.Busybox, "terminal", "sh", "-c", node.PlainShell)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := term.Dialogue(ctx, "until stty size 2>/dev/null | grep '30 90'; do :; done; echo s''ized\n", "sized"); err != nil {
		t.Fatal(err)
	}
	if err := term.Resize(111, 44); err != nil {
		t.Fatal(err)
	}
	if err := term.Dialogue(ctx, "until stty size | grep '44 111'; do :; done; echo re''sized\n", "resized", "exit 9\n", ""); err != nil {
		t.Fatal(err)
	}
	if code, err := term.Wait(ctx); err != nil || code != 9 {
		t.Errorf("the shell ended with code %d, want 9, error %v", code, err)
	}
}

// Signals reach a running task, which can be paused, resumed, looked into and joined by further processes.
func TestCtrTask(t *testing.T) {
	ctx := begin(t)
	const id = "task"
	script := "trap 'echo got usr1' USR1; trap 'echo got term; exit 11' TERM; echo ready; while :; do sleep 0.05; done"
	task := startTask(t, id, "sh", "-c", script)
	task.expect(ctx, "ready")
	ctr := func(args ...string) string {
		t.Helper()
		out, err := shared.Ctr(ctx, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	ctr("tasks", "kill", "--signal", "SIGUSR1", id)
	task.expect(ctx, "got usr1")
	if out := ctr("tasks", "exec", "--exec-id", "look", id, "sh", "-c", "ps | grep -c 'trap'"); strings.TrimSpace(out) == "0" {
		t.Errorf("an exec'ed ps sees no first process: %q", out)
	}
	if out := ctr("tasks", "ps", id); len(strings.Split(strings.TrimSpace(out), "\n")) < 2 {
		t.Errorf("the task's processes are %q", out)
	}
	ctr("tasks", "pause", id)
	if out := ctr("tasks", "list"); !strings.Contains(out, "PAUSED") {
		t.Errorf("a paused task is listed as %q", out)
	}
	ctr("tasks", "resume", id)
	if out := ctr("tasks", "list"); !strings.Contains(out, "RUNNING") {
		t.Errorf("a resumed task is listed as %q", out)
	}
	if out := ctr("tasks", "metrics", id); !strings.Contains(out, "memory") {
		t.Errorf("the task's metrics are %q", out)
	}
	ctr("tasks", "kill", "--signal", "SIGTERM", id)
	task.expect(ctx, "got term")
	if code := task.wait(ctx); code != 11 {
		t.Errorf("the task ended with code %d, want 11", code)
	}
}

// A process that signal n ends has exit code 128+n: the task's first, and those that joined it. (The first process of
// a PID namespace ignores signals it has no handler for, SIGKILL from outside excepted.)
func TestCtrKill(t *testing.T) {
	ctx := begin(t)
	const id = "killed"
	task := startTask(t, id, "sh", "-c", "echo ready; while :; do sleep 1; done")
	task.expect(ctx, "ready")
	for signal, want := range map[string]int{"TERM": 143, "HUP": 129, "SEGV": 139, "KILL": 137} {
		res, err := shared.Runner().Try(ctx, "ctr", "tasks", "exec", "--exec-id", signal, id, "sh", "-c", "kill -"+signal+" $$")
		if err != nil {
			t.Fatal(err)
		}
		if res.Code != want {
			t.Errorf("a process ended by SIG%s has exit code %d, want %d; it said %s", signal, res.Code, want, res.Stderr)
		}
	}
	if _, err := shared.Ctr(ctx, "tasks", "kill", "--signal", "SIGKILL", id); err != nil {
		t.Fatal(err)
	}
	if code := task.wait(ctx); code != 137 {
		t.Errorf("the task ended with code %d, want 137", code)
	}
}

// startedTask is a `ctr run` that goes on while the test looks at its task.
type startedTask struct {
	t    *testing.T
	term *node.Terminal
}

func startTask(t *testing.T, id string, args ...string) *startedTask {
	t.Helper()
	// ctr writes to a pseudo terminal here, so that its output can be waited for; the container has none.
	term, err := shared.Runner().StartTerminal(context.Background(), 80, 24, "ctr", ctrRun(append([]string{images.Busybox, id}, args...)...)...)
	if err != nil {
		t.Fatal(err)
	}
	return &startedTask{t, term}
}

func (s *startedTask) expect(ctx context.Context, text string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	if err := s.term.Expect(ctx, text); err != nil {
		s.t.Fatal(err)
	}
}

func (s *startedTask) wait(ctx context.Context) int {
	s.t.Helper()
	code, err := s.term.Wait(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return code
}

// SPDX-License-Identifier: Apache-2.0

package docker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/engines/engine"
	"github.com/katapod/katapod/integration/node"
)

// testExec runs further processes in a container.
func testExec(t *testing.T, d *dockerd) {
	d.up(t, "busy", image, "sleep", "1000")
	if got := d.docker(t, "exec", "--env", "A=1", "--workdir", "/tmp", "--user", "nobody", "busy", "sh", "-c", "echo $A; pwd; id -u"); got != "1\n/tmp\n65534\n" {
		t.Errorf("docker exec printed %q", got)
	}
	for _, row := range []struct {
		code int
		args []string
	}{{3, []string{"sh", "-c", "exit 3"}}, {d.execAbsent, []string{"nosuch"}}, {126, []string{"/etc/passwd"}}} {
		if res := d.try(t, append([]string{"exec", "busy"}, row.args...)...); res.Code != row.code {
			t.Errorf("docker exec %q ended with %d, want %d: %s%s", row.args, res.Code, row.code, res.Stdout, res.Stderr)
		}
	}
	text := strings.Repeat("0123456789abcde\n", 40_000)
	runner := d.Runner().With(strings.NewReader(text))
	out, err := runner.Run(engine.Context(t), d.programs+"/usr/bin/docker", "-H", d.host(), "exec", "-i", "busy", "cat")
	if err != nil || out != text {
		t.Errorf("docker exec -i cat gave %d bytes of %d: %v", len(out), len(text), err)
	}
	d.docker(t, "exec", "--detach", "busy", "sh", "-c", "echo >/tmp/ran")
	engine.WaitFor(t, time.Minute, "a detached exec", func() bool { return d.try(t, "exec", "busy", "test", "-e", "/tmp/ran").Code == 0 })
	if got := d.docker(t, "top", "busy"); len(strings.Split(strings.TrimSpace(got), "\n")) < 2 {
		t.Errorf("docker top gave %q", got)
	}
}

// testFiles copies files both ways, while the container runs and after it has ended.
func testFiles(t *testing.T, d *dockerd) {
	d.up(t, "files", image, "sh", "-c", "trap 'exit 0' TERM; echo inside >/make; mv /make /made; while :; do sleep 0.1; done")
	dir := t.TempDir()
	into, from := filepath.Join(dir, "into"), filepath.Join(dir, "from")
	if err := os.WriteFile(into, []byte("outside\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	engine.WaitFor(t, time.Minute, "the container's file", func() bool { return d.try(t, "cp", "files:/made", from).Code == 0 })
	if text, err := os.ReadFile(from); err != nil || string(text) != "inside\n" {
		t.Errorf("docker cp from the container gave %q, %v", text, err)
	}
	d.docker(t, "cp", into, "files:/root/taken")
	if got := d.docker(t, "exec", "files", "cat", "/root/taken"); got != "outside\n" {
		t.Errorf("docker cp to the container gave %q", got)
	}
	if got := d.docker(t, "diff", "files"); !strings.Contains(got, "A /made") || !strings.Contains(got, "A /root/taken") {
		t.Errorf("docker diff gave %q", got)
	}
	d.docker(t, "stop", "--time", "30", "files")
	d.docker(t, "cp", "files:/root/taken", from)
	if text, err := os.ReadFile(from); err != nil || string(text) != "outside\n" {
		t.Errorf("docker cp from a container that has ended gave %q, %v", text, err)
	}
}

// testControl pauses, signals and ends a container.
func testControl(t *testing.T, d *dockerd) {
	d.up(t, "signalled", image, "sh", "-c", "trap 'echo got USR1' USR1; trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done")
	said := func(what string) {
		t.Helper()
		engine.WaitFor(t, time.Minute, what, func() bool { return strings.Contains(d.docker(t, "logs", "signalled"), what) })
	}
	state := func(want string) {
		t.Helper()
		if got := d.docker(t, "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "signalled"); got != want+"\n" {
			t.Errorf("the container is %q, want %q", got, want)
		}
	}
	said("ready")
	d.docker(t, "pause", "signalled")
	state("paused 0")
	d.docker(t, "unpause", "signalled")
	state("running 0")
	d.docker(t, "kill", "--signal", "USR1", "signalled")
	said("got USR1")
	d.docker(t, "stop", "--time", "60", "signalled")
	state("exited 9")
	d.docker(t, "start", "signalled")
	waited := make(chan node.Result, 1)
	go func() { waited <- d.try(t, "wait", "signalled") }()
	d.docker(t, "kill", "signalled")
	if res := <-waited; res.Stdout != "137\n" && res.Stdout != "0\n" {
		t.Errorf("docker wait gave %q, %q", res.Stdout, res.Stderr)
	}
	engine.WaitFor(t, time.Minute, "the end of the container", func() bool {
		return d.docker(t, "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "signalled") == "exited 137\n"
	})
}

// terminal runs the client on a terminal.
func (d *dockerd) terminal(t *testing.T, args ...string) *node.Terminal {
	t.Helper()
	term, err := d.Runner().StartTerminal(engine.Context(t), 91, 33, d.programs+"/usr/bin/docker", append([]string{"-H", d.host()}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return term
}

// talk types and expects on a terminal in turn.
func talk(t *testing.T, term *node.Terminal, words ...string) {
	t.Helper()
	if err := term.Dialogue(engine.Context(t), words...); err != nil {
		t.Fatal(err)
	}
}

// over waits for the client's end.
func over(t *testing.T, term *node.Terminal, want int) {
	t.Helper()
	if code, err := term.Wait(engine.Context(t)); err != nil || code != want {
		t.Errorf("the client ended with %d, want %d: %v; %q", code, want, err, term.Text())
	}
}

// testTerminal works with -it: the terminal's size, a change of it, and the end of what runs on it.
func testTerminal(t *testing.T, d *dockerd) {
	term := d.terminal(t, "run", "-it", "--rm", "--runtime", d.runtime, image, "sh", "-c", node.PlainShell)
	talk(t, term, "tty | sed s/dev/terminal/\n", "/terminal/", "sleep 1; stty size | sed 's/^/size /'\n", "size 33 91")
	if err := term.Resize(77, 22); err != nil {
		t.Fatal(err)
	}
	talk(t, term, "while ! stty size | grep -q '22 77'; do sleep 0.1; done; echo re'sized'\n", "resized", "exit 5\n", "")
	over(t, term, 5)
}

// testAttach leaves a container's terminal by the keys for it, and comes back.
func testAttach(t *testing.T, d *dockerd) {
	d.up(t, "shell", "-i", "-t", image, "sh", "-c", node.PlainShell)
	for _, word := range []string{"one", "two"} {
		term := d.terminal(t, "attach", "--detach-keys", "ctrl-a", "shell")
		talk(t, term, "echo "+word[:1]+"'"+word[1:]+"'\n", "\n"+word+"\n", "\x01", "read escape sequence")
		over(t, term, 1) // the client's code for that
	}
	if got := d.docker(t, "inspect", "--format", "{{.State.Status}}", "shell"); got != "running\n" {
		t.Errorf("after the detachment the container is %q", got)
	}
	term := d.terminal(t, "attach", "shell")
	talk(t, term, "exit 6\n", "")
	over(t, term, 6)
}

// testRestartPolicy has Docker start a container again that fails.
func testRestartPolicy(t *testing.T, d *dockerd) {
	t.Cleanup(func() { d.discard(t, "failing") })
	d.docker(t, "run", "--detach", "--runtime", d.runtime, "--name", "failing", "--restart", "on-failure:2", image, "sh", "-c", "echo tried; exit 5")
	engine.WaitFor(t, 3*time.Minute, "the last of three tries", func() bool {
		return d.docker(t, "inspect", "--format", "{{.RestartCount}} {{.State.ExitCode}} {{.State.Status}}", "failing") == "2 5 exited\n"
	})
	if got := d.docker(t, "logs", "failing"); got != "tried\ntried\ntried\n" {
		t.Errorf("the container printed %q", got)
	}
}

// testDaemonRestart has a container live on while the daemon is away.
func testDaemonRestart(t *testing.T, d *dockerd) {
	d.up(t, "living", "--publish", "8089:80", image, "sh", "-c", "echo served >/index.html; exec httpd -f -p 80 -h /")
	before := d.docker(t, "inspect", "--format", "{{.State.Pid}} {{.State.StartedAt}}", "living")
	d.halt(t)
	d.serve(t)
	if after := d.docker(t, "inspect", "--format", "{{.State.Pid}} {{.State.StartedAt}}", "living"); after != before {
		t.Errorf("the container was %q before the daemon's restart and is %q", before, after)
	}
	if got := d.docker(t, "exec", "living", "cat", "/index.html"); got != "served\n" {
		t.Errorf("docker exec after the daemon's restart printed %q", got)
	}
	engine.WaitFor(t, time.Minute, "the server", func() bool {
		return d.Try(t, "timeout", "5", "busybox", "wget", "-q", "-O", "-", "http://192.0.2.10:8089/").Stdout == "served\n"
	})
	d.docker(t, "kill", "living")
	engine.WaitFor(t, time.Minute, "the end of the container", func() bool {
		return d.docker(t, "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "living") == "exited 137\n"
	})
}

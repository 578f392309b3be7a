// SPDX-License-Identifier: Apache-2.0

package nerdctl

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

// testLife goes with one container through everything that can be done to it.
func testLife(t *testing.T, n nerdctl) {
	const name = "life"
	n.run(t, append(n.container("--detach", "--name", name, "-m", "64m"), images.Busybox,
		"sh", "-c", "echo begin$((1+1)); echo bad >&2; exec probe pause")...)
	n.waitLog(t, name, "waiting", 1)
	if got := n.run(t, "ps", "--format", "{{.Names}} {{.Status}}"); got != name+" Up\n" {
		t.Errorf("ps prints %q", got)
	}
	if res := n.try(t, "logs", name); !strings.Contains(res.Stdout, "begin2\n") || res.Stderr != "bad\n" {
		t.Errorf("the log is %q, and of errors %q", res.Stdout, res.Stderr)
	}
	testExec(t, n, name)
	if got := n.run(t, "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", name); !strings.Contains(got, name+" ") || !strings.Contains(got, "/ 64MiB") {
		t.Errorf("stats print %q", got)
	}
	for _, step := range []struct{ command, status string }{{"pause", "Paused"}, {"unpause", "Up"}} {
		n.run(t, step.command, name)
		if got := n.run(t, "ps", "--all", "--format", "{{.Status}}"); got != step.status+"\n" {
			t.Errorf("after %s the status is %q", step.command, got)
		}
	}
	n.run(t, "update", "--memory", "96m", name)
	// Version 1 and version 2 of cgroups name the file differently.
	const limit = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true"
	if got := n.run(t, "exec", name, "sh", "-c", limit); got != "100663296\n" {
		t.Errorf("after the update the limit is %q", got)
	}
	n.run(t, "exec", name, "sh", "-c", "echo kept >/file")
	n.run(t, "restart", "--time", "20", name)
	if got := n.run(t, "exec", name, "cat", "/file"); got != "kept\n" {
		t.Errorf("after a restart the file has %q", got)
	}
	n.waitLog(t, name, "waiting", 2) // for the signal that stop sends
	n.run(t, "stop", "--time", "20", name)
	if got := n.run(t, "ps", "--all", "--format", "{{.Status}}"); !strings.HasPrefix(got, "Exited (0)") {
		t.Errorf("a container that ended at SIGTERM has the status %q", got)
	}
	n.run(t, "start", name)
	n.run(t, "rm", "--force", name)
	n.WantNothingLeft(t)
}

// testExec runs further processes in the container, one of them on a terminal.
func testExec(t *testing.T, n nerdctl, name string) {
	if got := n.run(t, "exec", "--env", "COLOUR=blue", "--workdir", "/tmp", "--user", "1000", name, "sh", "-c", "echo $COLOUR; pwd; id -u"); got != "blue\n/tmp\n1000\n" {
		t.Errorf("exec prints %q", got)
	}
	if res := n.try(t, "exec", name, "sh", "-c", "exit 42"); !strings.Contains(res.Stderr, "exit code 42") {
		t.Errorf("of a process that calls exit 42, nerdctl says %q and ends with %d", res.Stderr, res.Code)
	}
	ctx := engine.Context(t)
	text := strings.Repeat("0123456789abcde\n", 1<<14)
	got, err := n.Runner().With(strings.NewReader(text)).Run(ctx, "nerdctl", n.words("exec", "--interactive", name, "cat")...)
	if err != nil || got != text {
		t.Errorf("of %d bytes through cat, %d came back, error %v", len(text), len(got), err)
	}
	term, err := n.Runner().StartTerminal(ctx, 90, 30, "nerdctl", n.words("exec", "--interactive", "--tty", name, "sh", "-c", node.PlainShell)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := term.Dialogue(ctx, "tty\n", "/dev/pts/", "exit 3\n", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := term.Wait(ctx); err != nil || !strings.Contains(term.Text(), "exit code 3") {
		t.Errorf("of a shell that ended with exit 3, nerdctl says %q, error %v", term.Text(), err)
	}
}

// testCopy copies into and out of a container. nerdctl does it by itself, on the host: through the snapshot when the
// container is stopped.
func testCopy(t *testing.T, n nerdctl) {
	const name = "copy"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in"), []byte("copied\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	n.run(t, append(n.container("--name", name), images.Busybox, "sh", "-c", "cat /in >/out 2>/dev/null; true")...)
	n.run(t, "cp", filepath.Join(dir, "in"), name+":/in")
	n.run(t, "start", "--attach", name)
	n.run(t, "cp", name+":/out", filepath.Join(dir, "out"))
	if text, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(text) != "copied\n" {
		t.Errorf("what went in and out is %q, error %v", text, err)
	}
	n.run(t, "rm", name)
	n.WantNothingLeft(t)
}

// testCopyRunning copies into and out of a container that runs, which nerdctl does through the root directory of the
// process that it takes for the container's: that of the VMM, where nothing of the host is. It fails, and reaches no
// file of the host.
func testCopyRunning(t *testing.T, n nerdctl) {
	if n.Runtime == engine.Runc {
		t.Skip("runc's containers are processes of the host, whose root directory is the container's")
	}
	const name = "copyrun"
	dir := t.TempDir()
	file := filepath.Join(dir, "in")
	if err := os.WriteFile(file, []byte("of the host\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	n.run(t, append(n.container("--detach", "--name", name), images.Busybox, "probe", "pause")...)
	n.waitLog(t, name, "waiting", 1)
	if res := n.try(t, "cp", name+":"+file, filepath.Join(dir, "out")); res.Code == 0 {
		t.Errorf("a file of the host came out of a container: %q", res.Stdout)
	}
	if _, err := os.Lstat(filepath.Join(dir, "out")); !os.IsNotExist(err) {
		t.Errorf("something was copied out (%v)", err)
	}
	if res := n.try(t, "cp", file, name+":"+filepath.Join(dir, "evil")); res.Code == 0 {
		t.Error("a file was copied into a container that runs, which only the host can have got")
	}
	if _, err := os.Lstat(filepath.Join(dir, "evil")); !os.IsNotExist(err) {
		t.Errorf("a file of the host was written (%v)", err)
	}
	n.run(t, "rm", "--force", name)
	n.WantNothingLeft(t)
}

// What a VM cannot do is refused before it runs, with what to use instead. runc has no reason to.
func testRefused(t *testing.T, n nerdctl) {
	if n.Runtime == engine.Runc {
		t.Skip("runc shares the host's kernel and refuses none of these")
	}
	for _, c := range []struct {
		name, flags string
		words       []string
	}{
		{"the host's network", "--network host", []string{"the host's network", "docker run -p"}},
		{"the host's processes", "--pid host", []string{"the host's processes", "use the container's own"}},
		{"the host's IPC", "--ipc host", []string{"the host's IPC", "use the pod's"}},
		{"the host's host name", "--uts host", []string{"the host's UTS namespace", "--hostname"}},
		{"a socket of the host", "-v " + n.Socket() + ":/c.sock", []string{"a socket of the host cannot reach into a VM", "remove the mount"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			flags := append([]string{"--rm"}, strings.Fields(c.flags)...)
			n.WantRefused(t, c.words, "nerdctl", n.words(append(n.container(flags...), images.Busybox, "true")...)...)
			n.run(t, "container", "prune", "--force") // `run --rm` of nerdctl leaves a container that never ran
			n.WantNothingLeft(t)
		})
	}
}

// waitLog waits until the text stands in the log of a container so many times.
func (n nerdctl) waitLog(t *testing.T, name, text string, times int) {
	t.Helper()
	engine.WaitFor(t, time.Minute, text+" in the log of "+name, func() bool {
		return strings.Count(n.try(t, "logs", name).Stdout, text) == times
	})
}

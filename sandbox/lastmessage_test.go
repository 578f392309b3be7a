// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/sandbox/failure"
)

func TestLastMessageOf(t *testing.T) {
	mounts := []specs.Mount{
		{Type: "tmpfs", Source: "tmpfs", Destination: "/dev/shm"},
		{Type: "bind", Source: "/pods/default", Destination: "/dev/termination-log"},
		{Type: "bind", Source: "/pods/own", Destination: "/own"},
	}
	for want, spec := range map[string]*specs.Spec{
		"":              {Mounts: mounts[:1]},
		"/pods/default": {Mounts: mounts},
		"/pods/own":     {Mounts: mounts, Annotations: map[string]string{messageAnnotation: "/own"}},
	} {
		if got := lastMessageOf(spec); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What a container has been torn away by is in its message when its end is told, and the cause of that cause later; one
// that ended before, or that has left a message, keeps its own.
func TestDeathLeavesAMessage(t *testing.T) {
	f := startedFixture(t)
	dir := t.TempDir()
	with := func(name, text string) *Container {
		t.Helper()
		c := f.container(name, "sleep")
		c.lastMessage = filepath.Join(dir, name)
		if err := os.WriteFile(c.lastMessage, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return c
	}
	running, spoke, odd, ended := with("running", ""), with("spoke", "out of ideas"), with("odd", ""), with("ended", "")
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	odd.lastMessage = fifo
	for _, c := range []*Container{running, spoke, odd, ended} {
		if err := c.Start(background); err != nil {
			t.Fatal(err)
		}
	}
	if err := ended.Kill(background, "", uint32(unix.SIGKILL), false); err != nil {
		t.Fatal(err)
	}
	wait(t, ended.Init())
	f.vm.die("killed by signal 9")
	if code := wait(t, running.Init()); code != exitKilled {
		t.Errorf("the process ended with %d", code)
	}
	if text := read(t, running.lastMessage); !strings.Contains(text, "pod1 died") {
		t.Errorf("when the end is told the message is %q", text)
	}
	await(t, f.pod.Done(), "the end of the pod")
	for name, want := range map[string]string{"running": f.pod.Failure().Error(), "spoke": "out of ideas", "ended": ""} {
		if got := read(t, filepath.Join(dir, name)); got != want {
			t.Errorf("the message of %s is %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(f.pod.Failure().Error(), string(failure.VMMDied)) {
		t.Errorf("the pod failed with %v", f.pod.Failure())
	}
}

// The message is followed by a better one, and is no longer than what is read of it.
func TestMessagesAreReplaced(t *testing.T) {
	f := startedFixture(t)
	c := f.container("c1", "sleep")
	c.lastMessage = filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(c.lastMessage, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a guess that is long", "the cause", strings.Repeat("x", 2*messageLimit)} {
		if err := c.leaveMessage(text); err != nil {
			t.Fatal(err)
		}
		if got := read(t, c.lastMessage); got != text[:min(len(text), messageLimit)] {
			t.Errorf("the message is %.40q, want %.40q", got, text)
		}
	}
	if err := os.Remove(c.lastMessage); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", c.lastMessage); err != nil {
		t.Fatal(err)
	}
	if err := c.leaveMessage("x"); err == nil {
		t.Error("a link is followed")
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/protocols/names"
)

// answerBackwards is a name server for one question.
func answerBackwards(conn net.Conn, tcp bool) {
	defer func() { _ = conn.Close() }()
	message := make([]byte, 1024)
	count := 0
	var err error
	if tcp {
		message, err = names.ReadMessage(conn)
		count = len(message)
	} else {
		count, err = conn.Read(message)
	}
	if err != nil {
		return
	}
	answer := bytes.Clone(message[:count])
	slices.Reverse(answer)
	if tcp {
		_ = names.WriteMessage(conn, answer)
	} else {
		_, _ = conn.Write(answer)
	}
}

// namesFixture is a pod of which the test has the guest's end of the questions.
func namesFixture(t *testing.T) (*fixture, <-chan net.Conn) {
	t.Helper()
	f := newFixture(t)
	streams := make(chan net.Conn, 4)
	f.agent.features = append(f.agent.features, names.Feature)
	f.vm.names = func(stream net.Conn) {
		if server, err := names.Take(stream); err != nil || server.String() != "127.0.0.11" {
			t.Errorf("the host wants questions to %s, %v", server, err)
		}
		_ = names.Confirm(stream, true)
		streams <- stream
	}
	if err := f.pod.Start(background); err != nil {
		t.Fatal(err)
	}
	return f, streams
}

// withResolvConf is a container that has that text as its resolv.conf.
func withResolvConf(t *testing.T, id, text string) ContainerOptions {
	t.Helper()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	o := containerOptions(id, "sleep")
	o.Spec.Mounts = append(o.Spec.Mounts, specs.Mount{Type: "bind", Source: path, Destination: "/etc/resolv.conf", Options: []string{"bind"}})
	return o
}

func TestDockersNames(t *testing.T) {
	f, streams := namesFixture(t)
	c, err := f.pod.CreateContainer(background, withResolvConf(t, "c1", "# Docker's\nnameserver 127.0.0.11\noptions ndots:0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	stream := leaktest.Receive(t, streams)
	_ = stream.SetDeadline(time.Now().Add(30 * time.Second))
	const questions = 2 * maxQuestions
	go func() {
		for i := range questions {
			_ = names.Question{Number: uint32(i), TCP: i%2 == 1, Message: fmt.Appendf(nil, "question %d", i)}.Write(stream)
		}
	}()
	for range questions {
		a, err := names.ReadAnswer(stream)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(a.Message)
		if string(a.Message) != fmt.Sprintf("question %d", a.Number) {
			t.Errorf("question %d got the answer %q", a.Number, a.Message)
		}
	}
	f.host.mu.Lock()
	f.host.fail["dial"] = net.ErrClosed
	f.host.mu.Unlock()
	_ = names.Question{Number: 7, Message: []byte("x")}.Write(stream)
	if a, err := names.ReadAnswer(stream); err != nil || a.Number != 7 || len(a.Message) > 0 {
		t.Errorf("a question without a server got %v, %v", a, err)
	}
	f.running("c2", "sleep")
	if len(streams) > 0 {
		t.Error("the guest is asked twice")
	}
}

// A pod that asks other servers has nothing of it, until its network changes:
// only Docker does that.
func TestDockersNamesLater(t *testing.T) {
	f, streams := namesFixture(t)
	c, err := f.pod.CreateContainer(background, withResolvConf(t, "c1", "nameserver 10.0.0.1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	if len(streams) > 0 {
		t.Error("the guest answers for a server that nobody asks")
	}
	f.change(network.State{})
	select {
	case <-streams:
	case <-time.After(30 * time.Second):
		t.Error("the guest does not answer after another network was connected")
	}
}

func TestWhoAsksDocker(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]bool{
		"nameserver 127.0.0.11\n": true, " nameserver\t127.0.0.11": true, "nameserver 10.0.0.1\nnameserver 127.0.0.11\n": true,
		"": false, "nameserver": false, "nameserver 127.0.0.1\n": false, "#nameserver 127.0.0.11\n": false, strings.Repeat("x", 1<<20): false,
	} {
		path := filepath.Join(dir, "resolv.conf")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := asksDocker(path); got != want {
			t.Errorf("%.50q: %v, want %v", text, got, want)
		}
	}
	if asksDocker("") || asksDocker(dir) || asksDocker(dir+"/absent") || asksDocker("/dev/zero") {
		t.Error("what is no file asks Docker")
	}
}

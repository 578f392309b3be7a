// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/protocols/agentpb"
)

func testPrint(t *testing.T, g *guestUser) {
	p := g.run(t, "echo out; echo err >&2; hostname; exit 7")
	if out := read(t, p.stdout); out != "out\npodname\n" {
		t.Errorf("stdout %q", out)
	}
	if out := read(t, p.errs); out != "err\n" {
		t.Errorf("stderr %q", out)
	}
	for range 2 {
		if status := g.wait(t, p); status != 7 {
			t.Errorf("exit code %d", status)
		}
	}
	if _, err := g.agent.SignalProcess(g.ctx, &agentpb.SignalProcessRequest{ContainerId: p.id, ExecId: p.id, Signal: 15}); code(err) != notFound {
		t.Errorf("a signal to a process that has ended: %v", err)
	}
}

func testStreams(t *testing.T, g *guestUser) {
	p := g.run(t, "sleep 1000")
	t.Run("bytes in and out, end of input", func(t *testing.T) {
		e := g.exec(t, p, nil, "/bin/cat")
		sent := make([]byte, 2<<20)
		_, _ = rand.Read(sent)
		go func() {
			_, _ = e.stdin.Write(sent)
			_ = e.stdin.Close()
		}()
		got, err := io.ReadAll(e.stdout)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("sent %d bytes, got %d: %v", len(sent), len(got), err)
		}
		if status := g.wait(t, e); status != 0 {
			t.Errorf("exit code %d", status)
		}
	})
	t.Run("an output nobody reads holds nobody else up", func(t *testing.T) {
		stuck := g.exec(t, p, nil, "/bin/sh", "-c", "yes")
		if out := g.output(t, p, nil, "echo free"); out != "free\n" {
			t.Errorf("output %q", out)
		}
		g.signal(t, stuck, 9)
		if status := g.wait(t, stuck); status != 137 {
			t.Errorf("exit code %d", status)
		}
	})
	t.Run("an output whose reader goes away is thrown away", func(t *testing.T) {
		e := g.exec(t, p, nil, "/bin/sh", "-c", "head -c 4000000 /dev/zero; echo done >&2")
		_ = e.stdout.Close()
		if line := readLine(t, e.errs); line != "done" {
			t.Errorf("stderr %q", line)
		}
	})
	t.Run("the standard input closes by call too", func(t *testing.T) {
		e := g.exec(t, p, nil, "/bin/cat")
		if _, err := g.agent.CloseStdin(g.ctx, &agentpb.CloseStdinRequest{ContainerId: e.id, ExecId: e.exec}); err != nil {
			t.Fatal(err)
		}
		if out := read(t, e.stdout); out != "" {
			t.Errorf("output %q", out)
		}
	})
}

func testExec(t *testing.T, g *guestUser) {
	p := g.run(t, "sleep 1000")
	out := g.output(t, p, func(s *agentpb.Process) {
		s.User = &agentpb.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{5, 6}}
		s.Cwd, s.NoNewPrivileges, s.OOMScoreAdj = "/srv", true, 333
		s.Env = append(s.Env, "COLOR=green")
		s.Capabilities = &agentpb.LinuxCapabilities{Bounding: []string{"CAP_KILL"}}
		s.Rlimits = []*agentpb.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: 77, Soft: 66}}
	}, "pwd; echo $COLOR; id -u; id -g; ulimit -n; cat /proc/self/oom_score_adj; grep -E '^(Groups|CapBnd|CapEff|NoNewPrivs)' /proc/self/status")
	want := "/srv\ngreen\n1000\n1001\n66\n333\nGroups:\t5 6 \nCapEff:\t0000000000000000\nCapBnd:\t0000000000000020\nNoNewPrivs:\t1\n"
	if out != want {
		t.Errorf("exec's specification:\n got %q\nwant %q", out, want)
	}
	if out := g.output(t, p, nil, "cat /proc/1/oom_score_adj"); out != "0\n" {
		t.Errorf("the container has the agent's protection: %q", out)
	}
	if out := g.output(t, p, nil, "cat /proc/self/personality /proc/1/personality"); out != "00000000\n00000000\n" {
		t.Errorf("crun's fixed addresses went to the container: %q", out)
	}
	begin := time.Now()
	_, err := g.agent.ExecProcess(g.ctx, &agentpb.ExecProcessRequest{
		ContainerId: p.id, ExecId: "missing", Process: &agentpb.Process{Args: []string{"/bin/nothing"}, Cwd: "/"},
	})
	if err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("a program that is not there: %v", err)
	}
	t.Logf("refused after %s: %v", time.Since(begin), err)
	if _, err := g.agent.WaitProcess(g.ctx, &agentpb.WaitProcessRequest{ContainerId: p.id, ExecId: "missing"}); code(err) != notFound {
		t.Errorf("a process that never was: %v", err)
	}
	e := g.exec(t, p, nil, "/bin/sh", "-c", "exit 3")
	if status := g.wait(t, e); status != 3 {
		t.Errorf("exit code %d", status)
	}
}

func testTerminal(t *testing.T, g *guestUser) {
	id := g.name()
	s := spec(id, "read line; stty size; read line; stty size; echo got $line; exit 5")
	s.Process.Terminal = true
	s.Process.ConsoleSize = &agentpb.Box{Height: 10, Width: 20}
	p := g.create(t, id, s)
	g.resize(t, p, 33, 44)
	g.start(t, p)
	fmt.Fprint(p.stdin, "one\n")
	if line := readLine(t, p.stdout); line != "one" {
		t.Errorf("echo %q", line)
	}
	if line := readLine(t, p.stdout); line != "33 44" {
		t.Errorf("size %q", line)
	}
	g.resize(t, p, 55, 66)
	fmt.Fprint(p.stdin, "two\n")
	if out := read(t, p.stdout); out != "two\r\n55 66\r\ngot two\r\n" {
		t.Errorf("output %q", out)
	}
	if status := g.wait(t, p); status != 5 {
		t.Errorf("exit code %d", status)
	}

	sleeper := g.run(t, "sleep 1000")
	e := g.exec(t, sleeper, func(s *agentpb.Process) { s.Terminal = true }, "/bin/sh", "-c", "tty; sleep 1000")
	if line := readLine(t, e.stdout); line != "/dev/pts/0" {
		t.Errorf("terminal of exec %q", line)
	}
	fmt.Fprint(e.stdin, "\x03")
	if status := g.wait(t, e); status != 130 {
		t.Errorf("exit code after ctrl-c: %d", status)
	}
	if _, err := g.agent.TtyWinResize(g.ctx, &agentpb.TtyWinResizeRequest{ContainerId: sleeper.id, ExecId: sleeper.id, Row: 1, Column: 1}); code(err) != failedPrecondition {
		t.Errorf("resize without terminal: %v", err)
	}
}

func (g *guestUser) resize(t *testing.T, p *process, rows, columns uint32) {
	t.Helper()
	if _, err := g.agent.TtyWinResize(g.ctx, &agentpb.TtyWinResizeRequest{ContainerId: p.id, ExecId: p.exec, Row: rows, Column: columns}); err != nil {
		t.Fatal(err)
	}
}

// testCalls is how a shim without stdio streams moves bytes.
func testCalls(t *testing.T, g *guestUser) {
	id := g.name()
	s := spec(id, "cat; echo err >&2")
	if _, err := g.agent.CreateContainer(g.ctx, &agentpb.CreateContainerRequest{ContainerId: id, ExecId: id, OCI: s, Storages: []*agentpb.Storage{overlay(id)}}); err != nil {
		t.Fatal(err)
	}
	g.removeLater(t, id)
	p := &process{id: id, exec: id}
	g.start(t, p)
	for _, text := range []string{"hello ", "world", ""} {
		r, err := g.agent.WriteStdin(g.ctx, &agentpb.WriteStreamRequest{ContainerId: id, ExecId: id, Data: []byte(text)})
		if err != nil || int(r.Len) != len(text) {
			t.Fatalf("write %q: %v %v", text, r, err)
		}
	}
	var out, errs []byte
	for {
		r, err := g.agent.ReadStdout(g.ctx, &agentpb.ReadStreamRequest{ContainerId: id, ExecId: id, Len: 7})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Data) == 0 {
			break
		}
		out = append(out, r.Data...)
	}
	for {
		r, err := g.agent.ReadStderr(g.ctx, &agentpb.ReadStreamRequest{ContainerId: id, ExecId: id})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Data) == 0 {
			break
		}
		errs = append(errs, r.Data...)
	}
	if string(out) != "hello world" || string(errs) != "err\n" {
		t.Errorf("stdout %q, stderr %q", out, errs)
	}
	if status := g.wait(t, p); status != 0 {
		t.Errorf("exit code %d", status)
	}
}

func testSignals(t *testing.T, g *guestUser) {
	p := g.run(t, `trap 'echo caught' USR1; trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done`)
	if line := readLine(t, p.stdout); line != "ready" {
		t.Fatalf("output %q", line)
	}
	g.signal(t, p, 10)
	if line := readLine(t, p.stdout); line != "caught" {
		t.Errorf("output %q", line)
	}
	e := g.exec(t, p, nil, "/bin/sleep", "1000")
	g.signal(t, e, 15)
	if status := g.wait(t, e); status != 143 {
		t.Errorf("exit code of exec %d", status)
	}
	g.signal(t, p, 15)
	if status := g.wait(t, p); status != 9 {
		t.Errorf("exit code %d", status)
	}

	all := g.run(t, "sleep 1000 & wait")
	e = g.exec(t, all, nil, "/bin/sleep", "1000")
	everyone := &process{id: all.id}
	g.signal(t, everyone, 15) // PID 1 of a namespace ignores it by default, the others end
	if status := g.wait(t, e); status != 143 {
		t.Errorf("exit code of exec %d", status)
	}
	g.signal(t, everyone, 9)
	if status := g.wait(t, all); status != 137 && status != 0 {
		t.Errorf("exit code %d", status)
	}
}

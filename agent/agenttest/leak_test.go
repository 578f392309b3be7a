// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/protocols/agentpb"
)

// testNothingStays runs processes that end in every way their streams can, and wants the agent to hold as many
// descriptors and goroutines afterwards as before.
func testNothingStays(t *testing.T, g *guestUser) {
	g.comeAndGo(t)  // what the agent makes once
	const slack = 2 // a timer or a call of the moment
	files, goroutines := g.holds(t)
	for range 3 {
		g.comeAndGo(t)
	}
	for deadline := time.Now().Add(patience); ; {
		f, n := g.holds(t)
		if f <= files+slack && n <= goroutines+slack {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the agent holds %d descriptors and %d goroutines, before it were %d and %d", f, n, files, goroutines)
		}
	}
}

// comeAndGo is one container with some execs; all are gone when it returns, or are about to be.
func (g *guestUser) comeAndGo(t *testing.T) {
	t.Helper()
	id := g.name()
	p := g.createOnly(t, id, spec(id, "exec sleep 1000"))
	g.start(t, p)
	for _, script := range []string{
		"echo text; echo text >&2",
		"exec sleep 1000 <&- >&- 2>&- &", // a child that holds nothing
		"exec sleep 1000 & echo held",    // a child that holds every stream
		"cat",
	} {
		e := g.exec(t, p, nil, "/bin/sh", "-c", script)
		if script == "cat" {
			_ = e.stdin.Close()
		}
		read(t, e.stdout)
		read(t, e.errs)
		g.wait(t, e)
		e.close()
	}
	abandoned := g.exec(t, p, nil, "/bin/sh", "-c", "while :; do echo text; done")
	abandoned.close()
	terminal := g.exec(t, p, func(s *agentpb.Process) { s.Terminal = true }, "/bin/sh", "-c", "stty size")
	read(t, terminal.stdout)
	g.wait(t, terminal)
	terminal.close()
	if _, err := g.agent.RemoveContainer(g.ctx, &agentpb.RemoveContainerRequest{ContainerId: id, Timeout: 120}); err != nil {
		t.Fatal(err)
	}
	p.close()
}

func (p *process) close() {
	_ = p.stdin.Close()
	_ = p.stdout.Close()
	if p.errs != nil {
		_ = p.errs.Close()
	}
}

// holds asks the agent for its descriptors and goroutines.
func (g *guestUser) holds(t *testing.T) (files, goroutines int) {
	t.Helper()
	r, err := g.agent.GetMetrics(g.ctx, &agentpb.GetMetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]*int{"kata_agent_process_open_fds ": &files, "kata_agent_goroutines ": &goroutines} {
		_, after, _ := strings.Cut(r.GetMetrics(), "\n"+name)
		if _, err := fmt.Sscan(after, n); err != nil {
			t.Fatalf("the agent tells no %s: %v", name, err)
		}
	}
	return files, goroutines
}

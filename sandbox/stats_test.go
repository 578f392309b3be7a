// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
)

// echo is a process that works when it is told to.
type echo struct {
	pid int
	in  io.Writer
	out io.Reader
}

func startEcho(t *testing.T) echo {
	t.Helper()
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	e := echo{cmd.Process.Pid, in, out}
	e.work(t)
	return e
}

// work returns when the process has answered, and waits again.
func (e echo) work(t *testing.T) {
	t.Helper()
	b := make([]byte, 32<<10)
	if _, err := e.in.Write(b); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(e.out, b); err != nil {
		t.Fatal(err)
	}
}

func TestCountersOfAGuestThatRests(t *testing.T) {
	vmm := startEcho(t)
	answer := &agentpb.StatsContainerResponse{}
	var c counted
	at := time.Now()
	if c.recall(at, vmm.pid) != nil {
		t.Error("counters that nobody asked for are known")
	}
	c.remember(answer, at, vmm.pid)
	if c.recall(at.Add(timeouts.Counters/2), vmm.pid) != answer {
		t.Error("counters of a guest that rests are asked for again")
	}
	if c.recall(at.Add(timeouts.Counters), vmm.pid) != nil {
		t.Error("old counters are not asked for again")
	}
	c.forget()
	if c.recall(at, vmm.pid) != nil {
		t.Error("counters are known that may have changed")
	}
	c.remember(answer, at, 0)
	if c.recall(at, 0) != nil {
		t.Error("counters are known of a VMM that is not")
	}
}

func TestCountersOfAGuestThatWorks(t *testing.T) {
	vmm := startEcho(t)
	var c counted
	at := time.Now()
	c.remember(&agentpb.StatsContainerResponse{}, at, vmm.pid)
	began, known := processorTime(vmm.pid)
	for worked := began; known && worked-began <= timeouts.CountersTail; worked, known = processorTime(vmm.pid) {
		vmm.work(t)
	}
	if !known {
		t.Fatal("the time of a process that runs is not known")
	}
	if c.recall(at, vmm.pid) != nil {
		t.Error("counters of a guest that works are not asked for again")
	}
}

func TestTimeOfNoProcess(t *testing.T) {
	const above = 1 << 22 // all pids, see pid_max in proc(5)
	for _, pid := range []int{0, -1, above} {
		if took, known := processorTime(pid); known {
			t.Errorf("process %d has run for %v", pid, took)
		}
	}
}

// The limits are among the counters.
func TestUpdateForgetsCounters(t *testing.T) {
	f := startedFixture(t)
	c, err := f.pod.CreateContainer(background, containerOptions("c1", "sleep"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Stats(background); err != nil {
		t.Fatal(err)
	}
	limit := int64(64 << 20)
	if err := c.Update(background, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}}); err != nil {
		t.Fatal(err)
	}
	if known := c.counted.recall(time.Now(), f.pod.PID()); known != nil {
		t.Errorf("after a change of limits these are known still: %v", known)
	}
}

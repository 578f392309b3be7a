// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bufio"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/katapod/katapod/integration/leaktest"
)

// A node's processes are found by the mark in their environment, and their descendants through them even when those
// dropped it.
func TestProcessesAreFoundAndEnded(t *testing.T) {
	l := Layout{Root: t.TempDir()}
	cmd := exec.Command("sh", "-c", "env -i sleep 1000 & echo started; wait")
	cmd.Env = []string{"PATH=/usr/bin:/bin", marker(l)}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	found, err := l.Processes()
	if err != nil || len(found) != 2 || !slices.ContainsFunc(found, func(p Process) bool { return p.PID == cmd.Process.Pid && p.Name() == "sh" }) {
		t.Errorf("found %v, error %v; want the shell and its child", found, err)
	}
	if err := endProcesses(l); err != nil {
		t.Fatal(err)
	}
	if err := leaktest.Receive(t, ended); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process ended with %v", err)
	}
	if left, err := l.Processes(); err != nil || len(left) > 0 {
		t.Errorf("left are %v, error %v", left, err)
	}
}

func TestMemoryIsSortedByProgram(t *testing.T) {
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
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	// Once it has answered it waits, and touches no more memory.
	if _, err := in.Write([]byte("ready\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	named := func(name string) Process { return Process{PID: cmd.Process.Pid, Args: []string{"/usr/bin/" + name}} }
	m, err := MemoryOf([]Process{
		named("containerd-shim-kata-v2"), named("qemu-system-x86_64"), named("virtiofsd"), named("sleep"), named("sh"),
	})
	if err != nil {
		t.Fatal(err)
	}
	// What it shares with other processes of this machine counts less with each of them that begins.
	near := func(got, want int64) bool { return got > want/2 && got < 2*want }
	if m.Shim <= 0 || !near(m.VMM, m.Shim) || !near(m.Helpers, m.Shim) || !near(m.Workers, 2*m.Shim) {
		t.Errorf("one process under five names adds up to %+v", m)
	}
}

func TestInventoryAdded(t *testing.T) {
	before := Inventory{"mounts": {"/", "/run"}}
	after := Inventory{"mounts": {"/", "/run", "/new"}, "tc": {"qdisc ingress"}}
	if got, want := before.Added(after).String(), "mounts: /new\ntc: qdisc ingress"; got != want {
		t.Errorf("added is %q, want %q", got, want)
	}
	if added := after.Added(before); len(added) != 0 {
		t.Errorf("what went away counts as added: %v", added)
	}
}

// SPDX-License-Identifier: Apache-2.0

package reaper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	runc "github.com/containerd/go-runc"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
)

// newReaper returns one that runs for the test. Only one may run at a time.
func newReaper(t *testing.T) *Reaper {
	t.Helper()
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); leaktest.Receive(t, done) })
	return r
}

func TestExitCodesOfManyAtOnce(t *testing.T) {
	r := newReaper(t)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			code, err := r.RunCommand(exec.Command("/bin/sh", "-c", "exit "+strconv.Itoa(i)))
			if err != nil || code != i {
				t.Errorf("exit %d: got %d, %v", i, code, err)
			}
		})
	}
	all.Wait()
}

func TestSignalIs128More(t *testing.T) {
	r := newReaper(t)
	code, err := r.RunCommand(exec.Command("/bin/sh", "-c", "kill -9 $$"))
	if err != nil || code != 137 {
		t.Errorf("got %d, %v", code, err)
	}
}

// TestOrphanIsClaimed is what crun does: a child of a child that outlives it.
func TestOrphanIsClaimed(t *testing.T) {
	r := newReaper(t)
	for _, sleep := range []string{"0", "0.2"} {
		w := r.Watch()
		file := filepath.Join(t.TempDir(), "pid")
		script := fmt.Sprintf("(sleep %s; exit 42) & echo $! > %s", sleep, file)
		if _, err := r.RunCommand(exec.Command("/bin/sh", "-c", script)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err != nil {
			t.Fatal(err)
		}
		if sleep == "0" {
			awaitReaped(t, pid) // it has ended before the claim
		}
		c := w.Claim(pid)
		w.Close()
		select {
		case e := <-c:
			if e.Status != 42 || e.PID != pid {
				t.Errorf("after %s s: %+v", sleep, e)
			}
		case <-time.After(time.Minute):
			t.Errorf("after %s s: no exit", sleep)
		}
	}
	if len(r.waiters) != 0 || len(r.watches) != 0 {
		t.Errorf("left: %d waiters, %d watches", len(r.waiters), len(r.watches))
	}
}

func TestMonitorForGoRunc(t *testing.T) {
	r := newReaper(t)
	m := r.Monitor()
	for _, start := range []func(*exec.Cmd) (chan runc.Exit, error){m.Start, m.StartLocked} {
		var out bytes.Buffer
		cmd := exec.Command("/bin/sh", "-c", "echo text; exit 5")
		cmd.Stdout = &out
		c, err := start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		code, err := m.Wait(cmd, c)
		if err != nil || code != 5 || out.String() != "text\n" {
			t.Errorf("got %d, %v, %q", code, err, out.String())
		}
	}
	if _, err := m.Start(exec.Command("/does/not/exist")); err == nil {
		t.Error("no error for a program that is not there")
	}
}

func TestChildrenAreNotShielded(t *testing.T) {
	value, err := os.ReadFile(oomScoreAdj)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(oomScoreAdj, []byte("500"), 0); err != nil {
		t.Skipf("cannot change the protection from the OOM killer here: %v", err)
	}
	defer func() { _ = os.WriteFile(oomScoreAdj, bytes.TrimSpace(value), 0) }()
	r := newReaper(t)
	var out bytes.Buffer
	cmd := exec.Command("cat", oomScoreAdj)
	cmd.Stdout = &out
	_, err = r.RunCommand(cmd)
	if os.IsPermission(err) || err != nil && strings.Contains(err.Error(), "permission") {
		t.Skipf("lowering needs CAP_SYS_RESOURCE: %v", err)
	}
	own, _ := os.ReadFile(oomScoreAdj)
	if err != nil || out.String() != "0\n" || string(own) != "500\n" {
		t.Errorf("child %q, own %q, %v", out.String(), own, err)
	}
}

// awaitReaped returns once no process has the id any more. The kernel tells nobody that
// another has reaped a process.
func awaitReaped(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); runtime.Gosched() {
		if err := unix.Kill(pid, 0); errors.Is(err, unix.ESRCH) {
			return
		}
	}
	t.Fatalf("process %d was not reaped", pid)
}

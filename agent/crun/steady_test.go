// SPDX-License-Identifier: Apache-2.0

package crun

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	runc "github.com/containerd/go-runc"
)

func TestSteady(t *testing.T) {
	personality := func(start func(*exec.Cmd) (int, error)) string {
		t.Helper()
		cmd := exec.Command("cat", "/proc/self/personality")
		var out bytes.Buffer
		cmd.Stdout = &out
		if status, err := start(cmd); err != nil || status != 0 {
			t.Fatalf("status %d, %v", status, err)
		}
		return strings.TrimSpace(out.String())
	}
	plain := func(cmd *exec.Cmd) (int, error) { return 0, cmd.Run() }
	before := personality(plain)
	for range 20 {
		m := Steady(monitorOf{})
		got := personality(func(cmd *exec.Cmd) (int, error) {
			c, err := m.Start(cmd)
			if err != nil {
				return 0, err
			}
			return m.Wait(cmd, c)
		})
		if got != "00040000" {
			t.Errorf("a steady program has personality %s", got)
		}
		if after := personality(plain); after != before {
			t.Errorf("other programs have personality %s, before it was %s", after, before)
		}
	}
}

func TestSteadyStartFails(t *testing.T) {
	if _, err := Steady(monitorOf{}).StartLocked(exec.Command("/does/not/exist")); err == nil {
		t.Error("a program that does not exist was started")
	}
}

// monitorOf starts programs as os/exec does.
type monitorOf struct{}

func (monitorOf) Start(cmd *exec.Cmd) (chan runc.Exit, error) {
	return make(chan runc.Exit), cmd.Start()
}

func (m monitorOf) StartLocked(cmd *exec.Cmd) (chan runc.Exit, error) { return m.Start(cmd) }

func (monitorOf) Wait(cmd *exec.Cmd, _ chan runc.Exit) (int, error) { return 0, cmd.Wait() }

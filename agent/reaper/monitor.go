// SPDX-License-Identifier: Apache-2.0

package reaper

import (
	"os/exec"

	runc "github.com/containerd/go-runc"
)

// Monitor is the reaper as go-runc wants it.
func (r *Reaper) Monitor() runc.ProcessMonitor {
	return monitor{r}
}

type monitor struct{ reaper *Reaper }

func (m monitor) Start(cmd *exec.Cmd) (chan runc.Exit, error) {
	c, err := m.reaper.start(cmd)
	if err != nil {
		return nil, err
	}
	out := make(chan runc.Exit, 1)
	// It ends with the process.
	go func() {
		e := <-c
		out <- runc.Exit{Timestamp: e.At, Pid: e.PID, Status: e.Status}
		close(out)
	}()
	return out, nil
}

// StartLocked is Start: the agent never asks for a parent-death signal, the
// only thing that needs the starting thread to stay.
func (m monitor) StartLocked(cmd *exec.Cmd) (chan runc.Exit, error) {
	return m.Start(cmd)
}

func (m monitor) Wait(cmd *exec.Cmd, c chan runc.Exit) (int, error) {
	e := <-c
	_ = cmd.Wait() // only to release pipes and goroutines
	return e.Status, nil
}

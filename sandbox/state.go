// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"

	"github.com/containerd/errdefs"
)

// State is where a pod is in its life; see the package's documentation.
type State string

// The states of a pod.
const (
	// StateCreated has nothing on the host but the state directory.
	StateCreated State = "created"
	// StateStarting runs the start-up steps.
	StateStarting State = "starting"
	// StateRunning takes containers.
	StateRunning State = "running"
	// StateStopping releases what the pod had on the host.
	StateStopping State = "stopping"
	// StateStopped is the end; everything still answers.
	StateStopped State = "stopped"
)

// Status is where a container or a process is in its life.
type Status string

// The states of a process, and of a container, which has those of its init.
const (
	// StatusCreated is known to the guest, or will be at Start, and does not run.
	StatusCreated Status = "created"
	// StatusRunning has been started.
	StatusRunning Status = "running"
	// StatusPaused is a running container whose processes are frozen.
	StatusPaused Status = "paused"
	// StatusStopped has an exit code.
	StatusStopped Status = "stopped"
)

// Events that move a pod or a process from one state to the next.
const (
	onStart    = "start"
	onUp       = "up"
	onFail     = "fail"
	onStop     = "stop"
	onDeath    = "death"
	onReleased = "released"
	onExit     = "exit"
	onPause    = "pause"
	onResume   = "resume"
)

// transition is one arrow of a life cycle.
type transition[S ~string] struct {
	from S
	on   string
	to   S
}

// podTransitions are all arrows of a pod; doc.go draws them.
func podTransitions() []transition[State] {
	return []transition[State]{
		{StateCreated, onStart, StateStarting},
		{StateCreated, onStop, StateStopping},
		{StateStarting, onUp, StateRunning},
		{StateStarting, onFail, StateStopping},
		{StateRunning, onStop, StateStopping},
		{StateRunning, onDeath, StateStopping},
		{StateStopping, onReleased, StateStopped},
	}
}

// processTransitions are all arrows of a process and its container.
func processTransitions() []transition[Status] {
	return []transition[Status]{
		{StatusCreated, onStart, StatusRunning},
		{StatusCreated, onExit, StatusStopped},
		{StatusRunning, onExit, StatusStopped},
		{StatusRunning, onPause, StatusPaused},
		{StatusPaused, onResume, StatusRunning},
		{StatusPaused, onExit, StatusStopped},
	}
}

// next returns where an event leads, or ErrFailedPrecondition.
func next[S ~string](table []transition[S], what string, from S, on string) (S, error) {
	for _, t := range table {
		if t.from == from && t.on == on {
			return t.to, nil
		}
	}
	return from, fmt.Errorf("%s is %s and cannot %s: %w", what, from, on, errdefs.ErrFailedPrecondition)
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
)

// Failure is why a pod did not start, or died.
type Failure struct {
	// Pod is the pod's id; Step is where it happened: the name of a start-up
	// step, or "running".
	Pod, Step string
	// Code is for programs, Remedy for people; Cause is what happened.
	Code   Code
	Remedy string
	Cause  error
	// Console is the tail of the guest's console, VMMLog of what the VMM wrote
	// to standard error; at most a few KiB each.
	Console, VMMLog string
	// At is when it was noticed.
	At time.Time
}

// Error is a sentence with the code, the cause and the remedy.
func (f *Failure) Error() string {
	what := "did not start: step " + f.Step
	if f.Step == stepRunning {
		what = "died"
	}
	return fmt.Sprintf("pod %s %s: %v [%s]; %s", f.Pod, what, f.Cause, f.Code, f.Remedy)
}

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// coded is an error that knows its code.
type coded struct {
	code Code
	err  error
}

func (c *coded) Error() string { return c.err.Error() }
func (c *coded) Unwrap() error { return c.err }

// withCode gives err a code; a nil error stays nil.
func withCode(code Code, err error) error {
	if err == nil {
		return nil
	}
	return &coded{code: code, err: err}
}

// newFailure classifies err, which happened to the pod at the given step.
func (s *Sandbox) newFailure(step string, err error) *Failure {
	f := &Failure{Pod: s.options.ID, Step: step, Code: classify(step, err), Cause: err, At: time.Now()}
	if vm := s.machine(); vm != nil && closed(vm.Done()) {
		exit := vm.Exit()
		f.Console, f.VMMLog = exit.Console, exit.Log
	}
	if (f.Code == CodeVMMDied || f.Code == CodeVirtiofsdDied) && s.hostKilled() {
		f.Code = CodeHostOOM
	}
	f.Remedy = f.Code.Remedy()
	return f
}

// hostKilled tells whether the host's kernel killed a process of the pod's own
// for lack of memory.
func (s *Sandbox) hostKilled() bool {
	var group Cgroup
	s.parts.with(func(p *parts) { group = p.cgroup })
	if group == nil {
		return false
	}
	kills, err := group.OOMKills()
	return err == nil && kills > 0
}

// classify finds the code of an error of a step.
func classify(step string, err error) Code {
	var known *coded
	switch {
	case errors.As(err, &known):
		return known.code
	case errors.Is(err, errStopped):
		return CodeStopped
	case errors.Is(err, context.Canceled):
		return CodeCancelled
	}
	switch step {
	case StepCgroup:
		return CodeCgroupFailed
	case StepNetNS, StepNetwork, StepGuestNetwork:
		if errors.Is(err, errdefs.ErrNotImplemented) {
			return CodeNetworkUnsupported
		}
		return CodeNetworkFailed
	case StepShare:
		return CodeShareFailed
	case StepClone, StepVM:
		if errors.Is(err, errdefs.ErrInvalidArgument) {
			return CodeConfigInvalid
		}
		return CodeVMMFailed
	case StepAgent:
		if errors.Is(err, context.DeadlineExceeded) {
			return CodeAgentTimeout
		}
		return CodeAgentFailed
	case StepGuestSandbox:
		return CodeAgentFailed
	}
	return CodeInternal
}

// closed tells whether a channel is closed.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// failureFile is the form of failure.json.
type failureFile struct {
	Step    string    `json:"step"`
	Code    Code      `json:"code"`
	Cause   string    `json:"cause"`
	Remedy  string    `json:"remedy"`
	Console string    `json:"console,omitempty"`
	VMMLog  string    `json:"vmm_log,omitempty"`
	At      time.Time `json:"at"`
}

// write stores the failure at path.
func (f *Failure) write(path string) error {
	return writeJSON(path, failureFile{f.Step, f.Code, f.Cause.Error(), f.Remedy, f.Console, f.VMMLog, f.At})
}

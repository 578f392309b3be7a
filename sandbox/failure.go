// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/failure"
)

// Failure is why a pod did not start, or died.
type Failure = failure.Report

// newFailure classifies err, which happened to the pod at the given step.
func (s *Sandbox) newFailure(step string, err error) *Failure {
	f := &Failure{
		Pod: s.options.ID, Namespace: s.options.Namespace,
		Step: step, Code: classify(step, err), Cause: err, At: time.Now(),
	}
	if vm := s.machine(); vm != nil && closed(vm.Done()) {
		exit := vm.Exit()
		f.Console, f.VMMLog = exit.Console, exit.Log
	}
	if (f.Code == failure.VMMDied || f.Code == failure.VirtiofsdDied) && s.hostKilled() {
		f.Code = failure.HostOOM
	}
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

// report leaves the failure where it is looked for: in the pod's bundle, which the
// engine removes, and among the last reports of all pods.
func (s *Sandbox) report(f *Failure) {
	errs := []error{failure.Keep(s.options.Config.Runtime.FailuresDir(), f)}
	if bundle := s.options.Bundle; bundle != "" {
		err := f.Write(filepath.Join(bundle, failure.FileName))
		if !errors.Is(err, fs.ErrNotExist) { // else the engine was quick
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		s.log.WithError(err).Warn("cannot store why the pod failed")
	}
}

// classify finds the code of an error of a step.
func classify(step string, err error) failure.Code {
	code, known := failure.CodeOf(err)
	switch {
	case known:
		return code
	case errors.Is(err, errStopped):
		return failure.Stopped
	case errors.Is(err, context.Canceled):
		return failure.Cancelled
	case exhausted(err):
		return failure.HostExhausted
	}
	return stepCode(step, err)
}

// stepCode is the code of an error that says no more than where it happened.
func stepCode(step string, err error) failure.Code {
	unsupported := errdefs.IsNotImplemented(err)
	switch step {
	case StepCgroup:
		return failure.CgroupFailed
	case StepDirectory:
		return failure.StateDirFailed
	case StepNetNS, StepNetwork, StepGuestNetwork:
		if unsupported {
			return failure.NetworkUnsupported
		}
		return failure.NetworkFailed
	case StepShare:
		return failure.ShareFailed
	case StepCheck, StepClone, StepVM:
		switch {
		case unsupported:
			return failure.Unsupported
		case errdefs.IsInvalidArgument(err):
			return failure.ConfigInvalid
		case step != StepCheck:
			return failure.VMMFailed
		}
	case StepAgent:
		if errors.Is(err, context.DeadlineExceeded) {
			return failure.AgentTimeout
		}
		return failure.AgentFailed
	case StepGuestSandbox:
		return failure.AgentFailed
	}
	return failure.Internal
}

// exhausted tells whether the host had no more of something. Errors of the guest do
// not look like this: they come as text.
func exhausted(err error) bool {
	lacks := func(errno syscall.Errno) bool { return errors.Is(err, errno) }
	if slices.ContainsFunc([]syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM}, lacks) {
		return true
	}
	// The limit of processes has the number of a call that is to be tried again.
	var at *os.PathError
	return errors.As(err, &at) && at.Op == "fork/exec" && errors.Is(at, syscall.EAGAIN)
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

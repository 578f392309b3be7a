// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Names of the start-up steps, in order. Timelines and failures carry them.
const (
	StepCheck        = "check"
	StepPlace        = "place"
	StepTemplate     = "template"
	StepCgroup       = "cgroup"
	StepNetNS        = "netns"
	StepDirectory    = "directory"
	StepNetwork      = "network"
	StepShare        = "share"
	StepClone        = "clone"
	StepVM           = "vm"
	StepAgent        = "agent"
	StepGuestNetwork = "guest-network"
	StepGuestSandbox = "guest-sandbox"
	// StepMemory is done when the VM needs more than it has, see needMemory.
	StepMemory = "memory"
)

// step is one part of the start. undo may be nil; it is called when run was,
// also when run failed half-way, and undoes whatever is there. A step whose run is
// nil is done later, if at all, and only its undo has a place here.
type step struct {
	name string
	run  func(ctx context.Context) error
	undo func(ctx context.Context) error
}

// stages are the steps in order; those of one stage do not need each other and
// run side by side.
func (s *Sandbox) stages() [][]step {
	return [][]step{
		{{StepCheck, s.check, nil}},
		{{StepPlace, s.takePlace, nil}},
		{{StepTemplate, s.chooseOrigin, nil}},
		{
			{StepCgroup, s.startCgroup, s.undoCgroup},
			{StepNetNS, s.startNetNS, s.undoNetNS},
			{StepDirectory, s.makeVMDir, s.removeVMDir},
		},
		{
			{StepNetwork, s.startNetwork, s.undoNetwork},
			{StepShare, s.earlyShare(), s.undoShare},
			{StepClone, s.startClone, s.undoVM},
		},
		{{StepVM, s.startVM, s.undoVM}},
		{{StepAgent, s.startAgent, s.undoAgent}},
		{
			{StepGuestNetwork, s.startGuestNetwork, nil},
			{StepGuestSandbox, s.startGuestSandbox, nil},
		},
	}
}

// stepError names the step that an error came from.
type stepError struct {
	step string
	err  error
}

func (e *stepError) Error() string { return fmt.Sprintf("%s: %v", e.step, e.err) }
func (e *stepError) Unwrap() error { return e.err }

// runner runs steps and remembers those that began.
type runner struct {
	timeline *timeline
	// before, if set, is called ahead of each step; an error is the step's.
	before func(step string) error

	// mu guards the steps: those of a stage run side by side.
	mu    sync.Mutex
	begun []step
}

// run takes the stages in order and ends at the first that fails.
func (r *runner) run(ctx context.Context, stages [][]step) error {
	for _, stage := range stages {
		group, groupCtx := errgroup.WithContext(ctx)
		for _, s := range stage {
			group.Go(func() error { return r.one(groupCtx, s) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) one(ctx context.Context, s step) error {
	r.mu.Lock()
	r.begun = append(r.begun, s)
	r.mu.Unlock()
	if s.run == nil {
		return nil
	}
	err := r.timeline.measure(s.name, func() error {
		if r.before != nil {
			if err := r.before(s.name); err != nil {
				return err
			}
		}
		return s.run(ctx)
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return &stepError{step: s.name, err: err}
	}
	return nil
}

// undo takes back what began, newest first, and goes on after errors. A second
// call does nothing.
func (r *runner) undo(ctx context.Context) error {
	r.mu.Lock()
	begun := r.begun
	r.begun = nil
	r.mu.Unlock()
	var errs []error
	for _, s := range slices.Backward(begun) {
		if s.undo == nil {
			continue
		}
		if err := s.undo(ctx); err != nil {
			errs = append(errs, &stepError{step: "undo " + s.name, err: err})
		}
	}
	return errors.Join(errs...)
}

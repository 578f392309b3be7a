// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"errors"
	"testing"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/sandbox"
)

// slowSandbox starts when its context ends, or when it is let.
type slowSandbox struct {
	Sandbox
	starting, let chan struct{}
	stopped       int
}

func (s *slowSandbox) Start(ctx context.Context) error {
	close(s.starting)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.let:
		return nil
	}
}

func (s *slowSandbox) Stop(context.Context) error {
	s.stopped++
	return nil
}

func beginSlowly(t *testing.T) (*Pod, *slowSandbox, chan error) {
	t.Helper()
	vm := &slowSandbox{starting: make(chan struct{}), let: make(chan struct{})}
	p := New(func(sandbox.Options) (Sandbox, error) { return vm, nil })
	began := make(chan error, 1)
	go func() {
		_, err := p.Begin(context.Background(), sandbox.Options{ID: "pod", Bundle: t.TempDir()})
		began <- err
	}()
	leaktest.Receive(t, vm.starting)
	return p, vm, began
}

// An engine that gives up on a pod stops it while it still starts: nothing may come
// up behind its back.
func TestEndWhileThePodStarts(t *testing.T) {
	p, _, began := beginSlowly(t)
	if err := p.End(t.Context()); err != nil {
		t.Errorf("End: %v", err)
	}
	if err := leaktest.Receive(t, began); !errors.Is(err, errEnded) {
		t.Errorf("Begin of a pod that was ended: %v", err)
	}
	if _, err := p.Sandbox(); err == nil {
		t.Error("there is a sandbox")
	}
}

// One whose start cannot be broken off any more is stopped once it is there.
func TestEndAtTheLastMomentOfAStart(t *testing.T) {
	p, vm, began := beginSlowly(t)
	given, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.End(given); !errors.Is(err, context.Canceled) && err != nil {
		t.Errorf("End that may not wait: %v", err)
	}
	close(vm.let)
	leaktest.Receive(t, began) // either way
	if err := p.End(t.Context()); err != nil {
		t.Errorf("End: %v", err)
	}
	if _, err := p.Sandbox(); err == nil && vm.stopped == 0 {
		t.Error("the pod came up and was not stopped")
	}
}

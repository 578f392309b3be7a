// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// placed has the pod ask for a place that is as what enter returns, and counts those
// that are taken.
func (f *fixture) placed(enter func(context.Context) error) (taken *int) {
	taken = new(int)
	f.pod.drivers.EnterStart = func(ctx context.Context) (func(), error) {
		if err := enter(ctx); err != nil {
			return nil, err
		}
		*taken++
		return func() { *taken-- }, nil
	}
	return taken
}

// A place is the pod's from before its VM is chosen until it is up, or is not.
func TestPlaceIsForTheStart(t *testing.T) {
	for name, fails := range map[string]error{"pod that is up": nil, "pod that fails": errors.New("boom")} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			taken := f.placed(func(context.Context) error { return nil })
			f.vm.startErr = fails
			at := map[string]int{}
			var mu sync.Mutex // guards at: some steps run side by side
			f.pod.runner.before = func(step string) error {
				mu.Lock()
				defer mu.Unlock()
				at[step] = *taken
				return nil
			}
			if err := f.pod.Start(background); !errors.Is(err, fails) {
				t.Fatal(err)
			}
			if at[StepCheck] != 0 || at[StepTemplate] != 1 || at[StepVM] != 1 || *taken != 0 {
				t.Errorf("places at the steps %v, afterwards %d", at, *taken)
			}
		})
	}
}

func TestNoPlaceIsNoFailure(t *testing.T) {
	f := newFixture(t)
	f.placed(func(context.Context) error { return errors.New("no directory") })
	if err := f.pod.Start(background); err != nil {
		t.Fatal(err)
	}
}

// A pod that is stopped while it waits for a place does not start.
func TestStopWhileWaitingForAPlace(t *testing.T) {
	f := newFixture(t)
	f.placed(func(ctx context.Context) error {
		f.pod.beginStop(background)
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if err := f.pod.Start(background); !errors.Is(err, errStopped) {
		t.Fatalf("the start ended with %v", err)
	}
	if steps := f.pod.Timeline(); steps[len(steps)-1].Name != StepPlace {
		t.Errorf("the start went on: %v", steps)
	}
}

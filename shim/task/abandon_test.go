// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"errors"
	"testing"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"

	"github.com/katapod/katapod/protocols/timeouts"
)

// createFor makes a Create call that fails, of an engine that has gone away or not.
func (b *bench) createFor(t *testing.T, id string, gone bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if gone {
		cancel()
	}
	if _, err := b.Create(ctx, &taskapi.CreateTaskRequest{ID: id, Bundle: b.bundle(t, id, nil)}); err == nil {
		t.Fatal("the create succeeded")
	}
}

func (b *bench) wantShutdown(t *testing.T, want bool, why string) {
	t.Helper()
	limit := timeouts.Abandoned + time.Second // for what should not come
	if want {
		limit = patience
	}
	left := false
	select {
	case <-b.shutdown:
		left = true
	case <-time.After(limit):
	}
	if left != want {
		t.Errorf("the shim left: %v, want %v: %s", left, want, why)
	}
}

// A shim whose engine died under the first Create leaves by itself, wherever the call had come to.
func TestShimIsAbandoned(t *testing.T) {
	for name, prepare := range map[string]func(*bench, error){
		"the pod did not start":         func(b *bench, err error) { b.startErr = err },
		"the container was not created": func(b *bench, err error) { b.createErr = err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			prepare(b, errors.New("the engine has gone away"))
			b.createFor(t, "c", true)
			b.wantShutdown(t, true, "nobody would ever end it")
		})
	}
}

// One whose engine lives is ended by it, and one that has a container stays.
func TestShimIsNotAbandoned(t *testing.T) {
	t.Run("the engine lives", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.startErr = errors.New("the kernel is missing")
		b.createFor(t, "c", false)
		b.wantShutdown(t, false, "the engine deletes it")
	})
	t.Run("another container", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.mustCreate(t, "first", nil)
		b.vm().mu.Lock()
		b.vm().createErr = errors.New("the engine has gone away")
		b.vm().mu.Unlock()
		b.createFor(t, "second", true)
		b.wantShutdown(t, false, "it has a container")
	})
}

// SPDX-License-Identifier: Apache-2.0

package shimtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"
)

// Patience is what a call may take beyond its context on a machine that is busy. It
// is shorter than the 10 s after which a fuzz worker ends without a word.
const Patience = 8 * time.Second

// Call makes a call whose context ends after limit. The test fails when the
// error has no class, and ends with every stack when the call does not return.
func Call(t *testing.T, what string, limit time.Duration, do func(context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	timer := time.NewTimer(min(limit+Patience, 9*time.Second))
	defer timer.Stop()
	select {
	case err := <-done:
		if err != nil && errors.Is(errdefs.Resolve(err), errdefs.ErrUnknown) {
			t.Errorf("%s: an error without a class: %v", what, err)
		}
		return err
	case <-timer.C:
		panic(fmt.Sprintf("%s hangs\n%s", what, stacks()))
	}
}

// Prompt is Call for what has nothing to wait for: that its context ended is a
// failure of the test.
func Prompt(t *testing.T, what string, do func(context.Context) error) {
	t.Helper()
	if err := Call(t, what, Patience/2, do); errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s hung until its context ended: %v", what, err)
	}
}

func stacks() string {
	text := make([]byte, 1<<20)
	return string(text[:runtime.Stack(text, true)])
}

// Quiet keeps thousands of failures that are meant out of the log.
func Quiet(f *testing.F) {
	if err := log.SetLevel("fatal"); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = log.SetLevel("info") })
}

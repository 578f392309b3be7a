// SPDX-License-Identifier: Apache-2.0

package interrupt

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// ErrInterrupted is why the contexts of tests end at a signal.
var ErrInterrupted = errors.New("the tests were interrupted by a signal")

// Context ends at SIGINT and SIGTERM, or when stop is called. TestMain makes it and
// makes everything that it cleans up after it; what cleans up has another context.
func Context() (ctx context.Context, stop context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// Bound is the context of one test: it ends after limit, with the test, or with
// interrupted, which is that of Context. A test that would begin later fails.
func Bound(t testing.TB, interrupted context.Context, limit time.Duration) context.Context {
	t.Helper()
	if interrupted.Err() != nil {
		t.Fatal(ErrInterrupted)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := context.AfterFunc(interrupted, func() { cancel(ErrInterrupted) })
	bound, cancelBound := context.WithTimeout(ctx, limit)
	t.Cleanup(func() {
		cancelBound()
		stop()
		cancel(context.Canceled)
	})
	return bound
}

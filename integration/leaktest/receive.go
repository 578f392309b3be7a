// SPDX-License-Identifier: Apache-2.0

package leaktest

import (
	"runtime"
	"testing"
	"time"
)

// soon is more than a busy machine needs for what is to happen at once.
const soon = time.Minute

// Receive takes from a channel what has to come soon, or the zero value when it is
// closed. A test that waits without a bound hangs a whole run, and says nothing; this
// one ends with every stack.
func Receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	timer := time.NewTimer(soon)
	defer timer.Stop()
	var got T
	select {
	case got = <-c:
	case <-timer.C:
		stacks := make([]byte, 1<<20)
		t.Fatalf("what is waited for did not come within %v\n%s", soon, stacks[:runtime.Stack(stacks, true)])
	}
	return got
}

// SPDX-License-Identifier: Apache-2.0

package thread

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRunHasAThreadOfItsOwn(t *testing.T) {
	want := errors.New("a result")
	seen := map[int]bool{}
	for range 8 {
		var tid int
		if err := Run(func() error { tid = unix.Gettid(); return want }); err != want {
			t.Fatalf("error %v, want that of the function", err)
		}
		if tid == os.Getpid() {
			t.Error("it ran on the main thread")
		}
		seen[tid] = true
	}
	if len(seen) != 8 {
		t.Errorf("8 calls had %d threads", len(seen))
	}
}

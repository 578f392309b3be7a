// SPDX-License-Identifier: Apache-2.0

package shimtest

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// Held is what a process has that can be left over.
type Held struct{ Goroutines, Files int }

// Holding counts them.
func Holding(t *testing.T) Held {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return Held{runtime.NumGoroutine(), len(files)}
}

// Await waits until the process has no more than it had before. Nothing tells of
// the end of a goroutine, so it looks again, ever more seldom.
func (before Held) Await(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for wait := time.Millisecond; ; wait *= 2 {
		now := Holding(t)
		if now.Goroutines <= before.Goroutines && now.Files <= before.Files {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the process had %+v and has %+v\n%s", before, now, stacks())
		}
		<-time.After(wait)
	}
}

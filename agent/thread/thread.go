// SPDX-License-Identifier: Apache-2.0

// Package thread runs functions that change the thread they are on, in ways
// that nothing else may meet: other namespaces, another scheduling.
package thread

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Run calls f on a thread of its own that ends with f, so that no other
// goroutine is ever on it. Programs that f starts inherit what f made of it.
func Run(f func() error) error {
	out := make(chan error, 1)
	// It ends with f, and its thread with it; the caller waits.
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread cannot end before the program: keep it busy while
			// another one does the work.
			defer runtime.UnlockOSThread()
			out <- Run(f)
			return
		}
		// Never unlocked: the thread ends with the goroutine.
		out <- f()
	}()
	return <-out
}

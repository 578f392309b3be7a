// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestAStoppedShimOutlivesItsParent: the kernel sends SIGHUP to a group with a stopped process when its last parent in
// the session ends. A shim that somebody stopped right after its start died of that, and its pod did not start.
func TestAStoppedShimOutlivesItsParent(t *testing.T) {
	n := newNode(t)
	b := n.bundle(t, tasks, "c", nil)
	n.start(t, b, "c")
	shim := pid(t, b)
	if session, err := unix.Getsid(shim); err != nil || session != shim {
		t.Errorf("the shim, process %d, is in session %d, error %v: not in one of its own", shim, session, err)
	}
	n.delete(t, b, "c")
}

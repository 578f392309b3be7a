// SPDX-License-Identifier: Apache-2.0

package confine

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// TestStartWhileOthersFork starts processes while others are forked all the time. A
// forked process holds what its parent had open until its execve, also a file that was
// open for writing, and a mount with such a file cannot be made read-only.
func TestStartWhileOthersFork(t *testing.T) {
	shell(t)
	const starts, forkers = 60, 4
	// Copied while the others fork: a longer copy is met by more of them.
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, bytes.Repeat([]byte("s"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(filepath.Dir(secret), "open")
	if err := os.WriteFile(open, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	stop := make(chan struct{})
	for range forkers {
		// They end with the test, which waits for them.
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := exec.Command("true").Run(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	defer group.Wait()
	defer close(stop)
	for range starts {
		if got := say(t, Process{User: user}, "echo started", Bind{From: open}, Bind{From: secret}); got != "started\n" {
			t.Fatalf("it says %q", got)
		}
	}
}

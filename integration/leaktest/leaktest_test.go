// SPDX-License-Identifier: Apache-2.0

package leaktest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

// What is left is found, and is gone once it has ended.
func TestFindsWhatIsLeft(t *testing.T) {
	for what, leave := range map[string]func(t *testing.T) (end func()){
		"goroutine ": func(*testing.T) func() {
			stop := make(chan struct{})
			go func() { <-stop }()
			return func() { close(stop) }
		},
		"descriptor ": func(t *testing.T) func() {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			return func() { _ = f.Close() }
		},
		"process ": func(t *testing.T) func() {
			cmd := exec.Command("sleep", "1000")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			return func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			}
		},
	} {
		before := look()
		end := leave(t)
		if left := before.await(10 * time.Millisecond); !strings.Contains(left, what) {
			t.Errorf("of a %s: %q is left", what, left)
		}
		end()
		if left := before.await(patience); left != "" {
			t.Errorf("after the end of a %s: %q is left", what, left)
		}
	}
}

// What is about to end is waited for.
func TestWaitsForWhatEnds(t *testing.T) {
	before := look()
	timer := time.NewTimer(50 * time.Millisecond)
	go func() { <-timer.C }()
	if left := before.await(patience); left != "" {
		t.Errorf("%q is left", left)
	}
}

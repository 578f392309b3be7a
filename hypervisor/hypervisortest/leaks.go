// SPDX-License-Identifier: Apache-2.0

package hypervisortest

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/hypervisor"
)

// noLeaks checks, after all that the test cleans up itself, that descriptors
// and goroutines are as they were.
func noLeaks(t *testing.T) {
	t.Helper()
	// Descriptors that the runtime makes once are made now.
	warm(t)
	before := descriptors(t)
	t.Cleanup(func() {
		eventually(t, "goroutines of the driver are left", func() string { return goroutines() })
		eventually(t, "descriptors are left", func() string {
			var left []string
			for fd, what := range descriptors(t) {
				if before[fd] != what {
					left = append(left, fd+" "+what)
				}
			}
			return strings.Join(left, "\n")
		})
	})
}

func warm(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	w.Close()
}

// eventually fails unless state becomes empty. It polls: nothing tells of the end of
// a goroutine that was not made to be waited for, nor of that of a descriptor.
func eventually(t *testing.T, what string, state func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		s := state()
		if s == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s:\n%s", what, s)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// descriptors maps each open descriptor to what it is.
func descriptors(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]string{}
	for _, e := range entries {
		// The directory's own descriptor is gone by now.
		if what, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			open[e.Name()] = what
		}
	}
	return open
}

// goroutines returns the stacks of goroutines that this module began, other
// than the test's own.
func goroutines() string {
	buf := make([]byte, 1<<20)
	stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	var left []string
	for _, s := range stacks {
		if strings.Contains(s, "katapod/") && !strings.Contains(s, "testing.") {
			left = append(left, s)
		}
	}
	return strings.Join(left, "\n\n")
}

// gone checks that processes have ended and are reaped.
func gone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
			t.Errorf("process %d is left (%v)", pid, err)
		}
	}
}

func mustEnd(t *testing.T, vm hypervisor.VM) {
	t.Helper()
	select {
	case <-vm.Done():
	case <-time.After(patience):
		t.Fatal("the VM's end is not reported")
	}
}

func isError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want: %v", what, err, want)
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/sandbox/failure"
)

// quick finds a fake agent that hangs soon, and not one that has to wait for its turn.
func quick() liveness {
	return liveness{every: time.Millisecond, answer: 500 * time.Millisecond, misses: 3}
}

// hangFixture is a pod whose agent does not answer health checks after the start
// when hangs says so of their number.
func hangFixture(t *testing.T, hangs func(n int64) bool) *fixture {
	t.Helper()
	f := newFixture(t)
	f.pod.liveness = quick()
	var n atomic.Int64
	f.agent.stuck = func(name string) bool { return name == "Check" && n.Add(1) > 1 && hangs(n.Load()-1) }
	if err := f.pod.Start(background); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAgentThatHangs(t *testing.T) {
	f := hangFixture(t, func(int64) bool { return true })
	await(t, f.pod.Done(), "the end of a pod whose agent hangs")
	got := f.pod.Failure()
	if got == nil || got.Code != failure.GuestHangs || got.Step != failure.StepRunning {
		t.Fatalf("failure %v", got)
	}
	for _, says := range []string{"has not answered for", "3 questions in a row"} {
		if !strings.Contains(got.Error(), says) {
			t.Errorf("failure %q does not say %q", got, says)
		}
	}
}

// Answers that are late now and then, or errors, are no death.
func TestAgentThatIsSlow(t *testing.T) {
	enough := make(chan struct{})
	f := hangFixture(t, func(n int64) bool {
		if n == 8 {
			close(enough)
		}
		return n%3 != 0 // two of three
	})
	f.agent.failAt("Check", errdefs.ErrUnavailable)
	await(t, enough, "the eighth check")
	if f.pod.State() != StateRunning || f.pod.Failure() != nil {
		t.Errorf("the pod is %s, failure %v", f.pod.State(), f.pod.Failure())
	}
}

func TestWhoeverWantsToKnowHearsOfEachQuestion(t *testing.T) {
	asked := make(chan struct{})
	f := newFixture(t, func(o *Options) {
		o.Asked = func() {
			select {
			case asked <- struct{}{}:
			default:
			}
		}
	})
	f.pod.liveness = quick()
	if err := f.pod.Start(background); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		await(t, asked, "word of a question to the agent")
	}
}

// A VMM that is stopped keeps its process and its sockets.
func TestVMThatHangs(t *testing.T) {
	bundle := busyboxBundle(t)
	pod := realPod(t)
	pod.liveness = liveness{every: 10 * time.Millisecond, answer: 5 * time.Second, misses: 2}
	startReal(t, pod)
	c, err := pod.CreateContainer(background, realContainer(bundle, "c1", "busybox", "sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pod.machine().Describe().PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if code := wait(t, c.Init()); code != 137 {
		t.Errorf("exit code %d", code)
	}
	await(t, pod.Done(), "the pod's end")
	t.Log(pod.Failure())
	if got := pod.Failure(); got.Code != failure.GuestHangs {
		t.Errorf("code %s", got.Code)
	}
}

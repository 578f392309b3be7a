// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// These tests show that a violation is seen: a check that nothing can fail proves nothing.

func exited(code int32, reason string) func() (*cri.ContainerStatus, error) {
	return func() (*cri.ContainerStatus, error) {
		return &cri.ContainerStatus{State: cri.ContainerState_CONTAINER_EXITED, ExitCode: code, Reason: reason}, nil
	}
}

func runs() (*cri.ContainerStatus, error) {
	return &cri.ContainerStatus{State: cri.ContainerState_CONTAINER_RUNNING}, nil
}

// What the engine shows of a pod that was struck dead.
func TestWhatTheEngineShowsIsJudged(t *testing.T) {
	for name, test := range map[string]struct {
		engine fakeEngine
		wrong  []string
	}{
		"failed":                {engine: fakeEngine{container: exited(137, "Error"), pod: cri.PodSandboxState_SANDBOX_NOTREADY}},
		"succeeded":             {engine: fakeEngine{container: exited(0, "Completed"), pod: cri.PodSandboxState_SANDBOX_NOTREADY}, wrong: []string{"code 0", "code 0"}},
		"completed with a code": {engine: fakeEngine{container: exited(3, "Completed"), pod: cri.PodSandboxState_SANDBOX_NOTREADY}, wrong: []string{"Completed", "Completed"}},
		"runs for ever":         {engine: fakeEngine{container: runs, pod: cri.PodSandboxState_SANDBOX_NOTREADY}, wrong: []string{"does not read exited", "does not read exited"}},
		"a pod that is ready":   {engine: fakeEngine{container: exited(137, "Error")}, wrong: []string{"not ready"}},
		"no status": {engine: fakeEngine{container: func() (*cri.ContainerStatus, error) { return nil, errFake }, pod: cri.PodSandboxState_SANDBOX_NOTREADY},
			wrong: []string{"says no", "says no"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := fakeCycle(t, "kill-vmm", "run/idle", &test.engine)
				c.judgeDeath(t.Context())
				c.hold(t, test.wrong...)
			})
		})
	}
}

// Who waits for a process of a pod that was struck dead. All times here and below are those of synctest, which pass by
// themselves.
func TestAnswersAreJudged(t *testing.T) {
	after := func(d time.Duration, code uint32, err error) func() (uint32, error) {
		return func() (uint32, error) {
			time.Sleep(d)
			return code, err
		}
	}
	for name, test := range map[string]struct {
		fault  string
		answer func() (uint32, error)
		wrong  []string
	}{
		"in time":                    {fault: "kill-vmm", answer: after(time.Second, 137, nil)},
		"an error":                   {fault: "kill-shim", answer: after(time.Second, 0, errFake)},
		"success":                    {fault: "kill-vmm", answer: after(time.Second, 0, nil), wrong: []string{"success"}},
		"late":                       {fault: "kill-vmm", answer: after(3*time.Second, 137, nil), wrong: []string{"no answer"}},
		"late for one that hangs":    {fault: "freeze-vmm", answer: after(time.Minute, 137, nil), wrong: []string{"no answer"}},
		"in time, of one that hangs": {fault: "freeze-vmm", answer: after(40*time.Second, 137, nil)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				engine := &fakeEngine{container: exited(137, "Error"), pod: cri.PodSandboxState_SANDBOX_NOTREADY}
				c := fakeCycle(t, test.fault, "run/idle", engine)
				w := c.waiters.add("Wait", test.answer)
				c.judgeDeath(t.Context())
				c.hold(t, test.wrong...)
				<-w.done
			})
		})
	}
}

// One who looks late sees that an answer was late.
func TestAnAnswerThatWasLateIsSeenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &fakeEngine{container: exited(137, "Error"), pod: cri.PodSandboxState_SANDBOX_NOTREADY}
		c := fakeCycle(t, "kill-vmm", "run/idle", engine)
		c.waiters.add("Wait", func() (uint32, error) {
			time.Sleep(3 * time.Second)
			return 137, nil
		})
		time.Sleep(10 * time.Second)
		c.judgeDeath(t.Context())
		c.hold(t, "the answer came 3.0s after the death")
	})
}

// Who still waits when the pod has been removed.
func TestWhoWaitsForEverIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fakeCycle(t, "no-tap", "run/idle", &fakeEngine{})
		hang := make(chan struct{})
		w := c.waiters.add("Wait", func() (uint32, error) { <-hang; return 0, nil })
		c.judgeWaiters(time.Now())
		c.hold(t, "no answer")
		close(hang)
		<-w.done
		c.wrongs = nil
		c.judgeWaiters(time.Now())
		c.hold(t)
	})
}

// Calls that are under way at the death have an end, and all calls one at all.
func TestCallsAreJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fakeCycle(t, "kill-vmm", "run/start-1", &fakeEngine{})
		c.calls = []made{
			{"start", c.hit.at.Add(-time.Minute), c.hit.at.Add(-time.Second)},
			{"run/start-1", c.hit.at.Add(-time.Second), c.hit.at.Add(returnLimit - time.Second)},
		}
		c.judgeCalls()
		c.hold(t)
		c.calls[1].ended = c.hit.at.Add(returnLimit + time.Second)
		c.judgeCalls()
		c.hold(t, "run/start-1: the call returned")
	})
	synctest.Test(t, func(t *testing.T) {
		c := fakeCycle(t, "no-tap", "run/start-1", &fakeEngine{})
		hangs := stage{point: "run/start-1", call: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		if err := c.call(t.Context(), hangs); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call that hangs ends with %v", err)
		}
		c.hold(t, "no answer after 2m0s")
	})
}

// How a life may end.
func TestLivesAreJudged(t *testing.T) {
	for _, test := range []struct {
		fault string
		err   error
		wrong []string
	}{
		{"stop-vmm", nil, nil},
		{"stop-vmm", errFake, []string{"is to live on"}},
		{"kill-vmm", errFake, nil},
		{"kill-vmm", errDead, nil},
		{"no-tap", errFake, nil},
		{"kill-containerd", errInterrupted, nil},
		{"kill-containerd", errFake, []string{"beside the engine's death"}},
	} {
		c := fakeCycle(t, test.fault, "run/start-1", &fakeEngine{})
		c.judgeLife(test.err)
		c.hold(t, test.wrong...)
	}
	// One that was struck while it was cloned, and boots instead, lives on.
	c := fakeCycle(t, "kill-vmm", "start/vm", &fakeEngine{container: runs})
	if !c.dead() {
		t.Error("a pod is alive whose VMM was killed")
	}
	c.log.lines = []string{`level=warning msg="a pod could not be cloned from its template: it boots" sandbox=pod`}
	c.judgeDeath(t.Context())
	c.judgeCause()
	c.hold(t)
	c.judgeLife(errFake)
	c.hold(t, "is to live on")
	c = newCycle(&suite{log: &logTail{}}, plan{fault: faults()[0]})
	c.judgeLife(errFake)
	c.hold(t, "before anything was done")
}

// A container that ends alone leaves the others.
func TestTheEndOfAContainerIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fakeCycle(t, "kill-init", "run/idle", &fakeEngine{container: exited(137, "Error")})
		c.judgeDeath(t.Context())
		c.hold(t, "the other container of the pod does not run any more")
	})
	synctest.Test(t, func(t *testing.T) {
		c := fakeCycle(t, "kill-init", "run/idle", &fakeEngine{container: runs})
		c.judgeDeath(t.Context())
		c.hold(t, "does not read exited")
	})
}

// Removal succeeds the first time, and again; only what refuses at that moment may make it be called once more.
func TestRemovalIsJudged(t *testing.T) {
	fails := func(first int) func(int) error {
		return func(call int) error {
			if call == first {
				return errFake
			}
			return nil
		}
	}
	for name, test := range map[string]struct {
		fault, point    string
		stop, remove    int // the call that fails
		lifted          time.Duration
		stops, removals int
		wrong           []string
	}{
		"all is well":                    {fault: "kill-vmm", stops: 2, removals: 2},
		"the first stop fails":           {fault: "kill-vmm", stop: 1, stops: 2, removals: 2, wrong: []string{"stop the pod"}},
		"the second stop fails":          {fault: "no-tap", stop: 2, stops: 2, removals: 2, wrong: []string{"stop the pod"}},
		"the first removal fails":        {fault: "no-netns", remove: 1, stops: 2, removals: 2, wrong: []string{"remove the pod"}},
		"the second removal fails":       {fault: "kill-shim", remove: 2, stops: 2, removals: 2, wrong: []string{"remove the pod"}},
		"a host that has just been full": {fault: "full-state", stop: 1, stops: 3, removals: 2},
		"a host that had been full":      {fault: "full-state", stop: 1, lifted: time.Minute, stops: 2, removals: 2, wrong: []string{"stop the pod"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				engine := &fakeEngine{stop: fails(test.stop), remove: fails(test.remove)}
				c := fakeCycle(t, test.fault, "run/idle", engine)
				c.name, c.hit.liftedAt = "victim-1", c.hit.at
				close(c.hit.lifted)
				time.Sleep(test.lifted)
				c.remove(t.Context())
				c.hold(t, test.wrong...)
				if engine.stops != test.stops || engine.removals != test.removals {
					t.Errorf("%d stops and %d removals, want %d and %d", engine.stops, engine.removals, test.stops, test.removals)
				}
			})
		})
	}
}

// A node on which other pods notice something.
func TestTheBystanderIsJudged(t *testing.T) {
	answer := func(text string, code int32) func() (*cri.ExecSyncResponse, error) {
		return func() (*cri.ExecSyncResponse, error) {
			return &cri.ExecSyncResponse{Stdout: []byte(text), ExitCode: code}, nil
		}
	}
	slow := func() (*cri.ExecSyncResponse, error) {
		time.Sleep(bystanderLimit + time.Second)
		return answer("well\n", 0)()
	}
	no := func() (*cri.ExecSyncResponse, error) { return nil, errFake }
	const steady = "t stdout F 1.0\nt stdout F 1.2\nt stdout F 1.5\n"
	for name, test := range map[string]struct {
		exec  func() (*cri.ExecSyncResponse, error)
		beats string
		wrong []string
	}{
		"well":       {exec: answer("well\n", 0), beats: steady},
		"refuses":    {exec: no, beats: steady, wrong: []string{"exec fails"}},
		"other text": {exec: answer("ill\n", 0), beats: steady, wrong: []string{"exec printed"}},
		"a code":     {exec: answer("well\n", 1), beats: steady, wrong: []string{"code 1"}},
		"slow":       {exec: slow, beats: steady, wrong: []string{"exec took"}},
		"no beat":    {exec: answer("well\n", 0), wrong: []string{"has stopped"}},
		"a silence":  {exec: answer("well\n", 0), beats: steady + "t stdout F 9.5\n", wrong: []string{"silent for 8s"}},
		"other log":  {exec: answer("well\n", 0), beats: "t stdout F panic\n", wrong: []string{"has the line"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, test.beats)
			synctest.Test(t, func(t *testing.T) {
				c := fakeCycle(t, "kill-vmm", "run/idle", &fakeEngine{exec: test.exec})
				c.bystander = &bystander{log: path}
				c.judgeBystander(t.Context())
				c.hold(t, test.wrong...)
			})
		})
	}
}

// The causes that the shim names.
func TestCausesAreJudged(t *testing.T) {
	const died = `time="x" level=error msg="the pod died" error="pod pod died: QEMU was killed [vmm-died]; see" sandbox=pod` + "\n"
	other := strings.Replace(died, "vmm-died", "guest-hangs", 1)
	for name, test := range map[string]struct {
		fault, point, log, report string
		wrong                     []string
	}{
		"named":                      {fault: "kill-vmm", log: died, report: "vmm-died"},
		"another cause":              {fault: "kill-vmm", log: other, report: "guest-hangs", wrong: []string{"another cause"}},
		"none":                       {fault: "kill-vmm", wrong: []string{"no cause"}},
		"of another pod":             {fault: "kill-vmm", log: strings.ReplaceAll(died, "sandbox=pod", "sandbox=pod2"), wrong: []string{"no cause"}},
		"twice":                      {fault: "kill-vmm", log: died + died, report: "vmm-died", wrong: []string{"died 2 times"}},
		"no report":                  {fault: "kill-vmm", log: died, wrong: []string{"read the report"}},
		"another report":             {fault: "kill-vmm", log: died, report: "internal", wrong: []string{"the report of the failure says internal"}},
		"nobody to tell":             {fault: "kill-shim"},
		"a pod that is to live":      {fault: "stop-vmm", log: died, report: "vmm-died", wrong: []string{"another cause"}},
		"a lack that did not matter": {fault: "no-memory-vmm"},
		"a lack of something else":   {fault: "no-tap", log: died, report: "vmm-died", wrong: []string{"another cause"}},
		"stopped while it was":       {fault: "kill-vmm", point: "stop/pod", log: strings.ReplaceAll(died, "vmm-died", "stopped"), report: "stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				point := "run/idle"
				if test.point != "" {
					point = test.point
				}
				c := fakeCycle(t, test.fault, point, &fakeEngine{})
				c.log.lines = strings.Split(test.log, "\n")
				if test.report != "" {
					writeAt(t, c.reports, "pod@k8s.io.json", `{"code":"`+test.report+`"}`)
				}
				c.judgeCause()
				c.hold(t, test.wrong...)
			})
		})
	}
}

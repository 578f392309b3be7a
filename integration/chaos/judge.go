// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// readLimit is how soon the engine shows the end of a pod whose shim was killed: it runs the delete action first, which
// has four seconds by itself. Where the shim lives, it is answerLimit.
const readLimit = 6 * time.Second

// returnLimit is how soon a call of the engine returns that was under way when its pod was struck dead: beside the
// shim's answer, it is what containerd takes back, the delete action among it.
const returnLimit = 15 * time.Second

// judgeLife looks at how the life ended.
func (c *cycle) judgeLife(err error) {
	switch {
	case err == nil, errors.Is(err, errDead):
		return
	case !c.isHit():
		c.wrong("before anything was done: %v", err)
	case c.plan.fault.effect == ends && c.tried():
	case c.plan.fault.effect == passes || c.survived() || c.plan.fault.effect == ends:
		c.wrong("a pod that is to live on: %v", err)
	case c.plan.fault.effect == crashes && !errors.Is(err, errInterrupted):
		c.wrong("beside the engine's death: %v", err)
	}
}

// isHit tells whether the strike has been tried.
func (c *cycle) isHit() bool {
	select {
	case <-c.fire:
		return true
	default:
		return false
	}
}

// tried waits until a strike that has begun is done: what it hits may end before, and calls fail. It tells whether it has
// had an effect.
func (c *cycle) tried() bool {
	<-c.hit.done
	return c.wasHit()
}

// judgeDeath looks at what everybody is told of a pod that was struck dead while it ran.
func (c *cycle) judgeDeath(ctx context.Context) {
	if c.plan.fault.effect == ends {
		c.judgeEnd(ctx)
	}
	if c.plan.fault.effect != deadly || !c.isHit() {
		return
	}
	<-c.hit.done
	if c.hit.err != nil || stopping(c.plan.point) || c.survived() {
		return
	}
	limit := answerLimit + c.plan.within()
	for _, w := range c.waiters.all() {
		wrong := w.answered(c.hit.at, func(until time.Time) time.Duration { return c.stalls.allowUntil(limit, c.hit.at, until) })
		if wrong != "" {
			c.wrong("%s", wrong)
		}
	}
	c.judgeCalls()
	if c.plan.fault.effect == deadly && len(c.plan.fault.codes) == 0 {
		limit = readLimit
	}
	c.judgeContainers(ctx, c.torn(), limit)
	c.judgePod(ctx, limit)
}

// judgeCalls looks at the calls of the life that were under way at the strike.
func (c *cycle) judgeCalls() {
	for _, call := range c.calls {
		if call.began.After(c.hit.at) || call.ended.Before(c.hit.at) {
			continue
		}
		took := call.ended.Sub(c.hit.at)
		if took > c.stalls.allowUntil(returnLimit+c.plan.within(), c.hit.at, call.ended) {
			c.wrong("%s: the call returned %s after the death", call.point, round(took))
		}
	}
}

// judgePod waits until the engine shows that the pod is not ready.
func (c *cycle) judgePod(ctx context.Context, limit time.Duration) {
	if c.lone() || !c.up {
		return
	}
	// By the Sandbox API, the engine asks the shim, and says so while it clears up after one that was killed.
	c.awaitShown(limit, "the pod does not read not ready", func() bool {
		answer, err := c.runtime.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: c.id()})
		return err == nil && answer.Status.State == cri.PodSandboxState_SANDBOX_NOTREADY
	})
}

// awaitShown waits until the engine shows something, as long after the death as it may take.
func (c *cycle) awaitShown(limit time.Duration, otherwise string, shown func() bool) {
	for wait := 5 * time.Millisecond; !shown(); wait = min(2*wait, 100*time.Millisecond) {
		if since := time.Since(c.hit.at); since > c.stalls.allow(limit, c.hit.at) {
			c.wrong("%s %s after the death", otherwise, round(since))
			return
		}
		<-time.After(wait)
	}
}

// torn are the containers that ran when the pod was struck, and were not being stopped: a strike in the guest takes its
// time, in which the life goes on.
func (c *cycle) torn() []string {
	if c.stopped {
		return c.containers[1:c.begun]
	}
	return c.containers[:c.begun]
}

// judgeEnd looks at a pod whose first container alone was struck.
func (c *cycle) judgeEnd(ctx context.Context) {
	if c.wasHit() && !c.stopped {
		c.judgeContainers(ctx, c.containers[:1], answerLimit)
		if !c.running(ctx, c.containers[1]) {
			c.wrong("the other container of the pod does not run any more")
		}
	}
}

// judgeContainers waits until the engine shows the containers as ended, by a failure.
func (c *cycle) judgeContainers(ctx context.Context, ids []string, limit time.Duration) {
	for _, id := range ids {
		c.awaitShown(limit, fmt.Sprintf("container %.8s does not read exited", id), func() bool { return c.ended(ctx, id) })
	}
}

// ended tells whether the engine shows a container as ended. One that reads as a success is a violation.
func (c *cycle) ended(ctx context.Context, id string) bool {
	if c.lone() {
		return c.stoppedLone(ctx)
	}
	answer, err := c.runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id})
	if err != nil {
		c.wrong("status of container %.8s: %v", id, err)
		return true
	}
	s := answer.Status
	if s.State != cri.ContainerState_CONTAINER_EXITED {
		return false
	}
	if s.ExitCode == 0 || s.Reason == "Completed" {
		c.wrong("container %.8s reads %s with code %d", id, s.Reason, s.ExitCode)
	}
	return true
}

func (c *cycle) running(ctx context.Context, id string) bool {
	answer, err := c.runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id})
	return err == nil && answer.Status.State == cri.ContainerState_CONTAINER_RUNNING
}

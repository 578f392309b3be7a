// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/katapod/katapod/integration/node"
)

// readLimit is how soon the engine shows the end of a pod whose shim was killed: it runs the delete action first, which
// has four seconds by itself. Where the shim lives, it is answerLimit.
const readLimit = 6 * time.Second

// judgeLife looks at how the life ended.
func (c *cycle) judgeLife(err error) {
	switch {
	case err == nil, errors.Is(err, errDead):
		return
	case !c.isHit():
		c.wrong("before anything was done: %v", err)
	case c.plan.fault.effect == passes || c.plan.fault.effect == ends && !c.wasHit():
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

// judgeDeath looks at what everybody is told of a pod that was struck dead while it ran.
func (c *cycle) judgeDeath(ctx context.Context) {
	if c.plan.fault.effect == ends {
		c.judgeEnd(ctx)
	}
	if c.plan.fault.effect != deadly || !c.isHit() {
		return
	}
	<-c.hit.done
	if c.hit.err != nil || stopping(c.plan.point) {
		return
	}
	for _, w := range c.waiters.all() {
		if wrong := w.answered(c.hit.at, func() time.Duration { return c.stalls.allow(answerLimit, c.hit.at) }); wrong != "" {
			c.wrong("%s", wrong)
		}
	}
	limit := answerLimit
	if len(c.plan.fault.codes) == 0 {
		limit = readLimit
	}
	c.judgeContainers(ctx, c.torn(), limit)
	c.judgeCause()
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
		for wait := 5 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
			if c.ended(ctx, id) {
				break
			}
			if time.Since(c.hit.at) > c.stalls.allow(limit, c.hit.at) {
				c.wrong("container %.8s does not read exited %s after the death", id, time.Since(c.hit.at).Round(time.Millisecond))
				break
			}
			<-time.After(wait)
		}
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

var codeInLog = regexp.MustCompile(`\[([a-z0-9-]+)\]`)

// judgeCause looks for the cause in the log, where the shim lived to write it.
func (c *cycle) judgeCause() {
	if len(c.plan.fault.codes) == 0 || c.begun == 0 {
		return
	}
	text := ""
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		text = c.log.text()
		for line := range strings.Lines(text) {
			if !strings.Contains(line, "the pod died") || !strings.Contains(line, c.id()) {
				continue
			}
			for _, found := range codeInLog.FindAllStringSubmatch(line, -1) {
				if slices.Contains(c.plan.fault.codes, found[1]) {
					return
				}
			}
			c.wrong("the log names another cause: %s", strings.TrimSpace(line))
			return
		}
	}
	c.wrong("the log names no cause of the death")
}

// judgeRest looks at the node after the removal, and returns how long it took until nothing was left.
func (c *cycle) judgeRest(ctx context.Context) time.Duration {
	ctx = context.WithoutCancel(ctx)
	began := time.Now()
	left, err := c.node.WaitEmptyBut(ctx, c.empty, c.ignored)
	took := time.Since(began)
	if err != nil {
		c.wrong("look at the node: %v", err)
	}
	for _, kind := range node.InventoryKinds() {
		for _, thing := range left[kind] {
			c.wrong("left: %s: %s", kind, thing)
		}
	}
	if _, slow := c.states.worst(); slow != "" {
		c.wrong("%s", slow)
	}
	ids := append([]string{c.id()}, c.containers...)
	for _, id := range slices.Compact(ids) {
		if wrong := disorder(c.events.of(id)); wrong != "" {
			c.wrong("events of %.8s: %s", id, wrong)
		}
	}
	c.judgeBystander(ctx)
	return took
}

// ignored are things that are not of the pod's runtime: templates are the node's, like images; and an engine that was
// killed while it made a pod forgets the network that CNI made for it, and a file system of its own.
func (c *cycle) ignored(kind, thing string) bool {
	if strings.Contains(thing, "/vm/template") {
		return true
	}
	if c.lone() && strings.HasPrefix(thing, "/run/containerd/fifo/") {
		return true // ctr makes these itself, and leaves them when its task is not made
	}
	if c.plan.fault.effect != crashes {
		return false
	}
	for _, engine := range []string{"/netns/", "veth", "/cni/results/", "io.containerd.grpc.v1.cri/sandboxes/"} {
		if strings.Contains(thing, engine) {
			return true
		}
	}
	return false
}

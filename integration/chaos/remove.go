// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// removeLimit bounds the stop and the removal, each.
const removeLimit = 30 * time.Second

// remove stops and removes the pod as a kubelet does, each twice. Where the engine may be away, or the
// host has no room, a call that fails is made again.
func (c *cycle) remove(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if c.lone() {
		c.removeLone(ctx)
		return
	}
	for _, id := range c.podsByName(ctx) {
		c.reach("stop/pod")
		for range 2 {
			c.insist(ctx, "stop the pod", func(ctx context.Context) error {
				_, err := c.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id})
				return err
			})
		}
		c.reach("stop/remove")
		for range 2 {
			c.insist(ctx, "remove the pod", func(ctx context.Context) error {
				_, err := c.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id})
				return err
			})
		}
	}
	c.strikeNow() // at nothing, if it has not been done
	<-c.hit.done
	c.removeOrphans(ctx)
}

// insist makes a call, and again after the engine was away or behind, or a host that refuses was relieved.
func (c *cycle) insist(ctx context.Context, what string, call func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, removeLimit+c.plan.within())
	defer cancel()
	for {
		began := time.Now()
		err := call(ctx)
		if err == nil || ctx.Err() == nil && strings.Contains(err.Error(), "not found") {
			return
		}
		retry := c.plan.fault.effect == crashes && c.interrupted(began) || c.refused(began) || c.engineLags(err)
		if !retry || ctx.Err() != nil {
			c.wrong("%s: after %s: %v", what, time.Since(began).Round(time.Millisecond), err)
			return
		}
		c.awaitEngine()
		<-time.After(20 * time.Millisecond)
	}
}

// refused tells whether a call was made to a host that refused something at that time, or had until just before: a shim
// that had no memory left may have died just now, which the engine has to see first. A VM that hangs lets a stop fail
// until it is given up.
func (c *cycle) refused(began time.Time) bool {
	switch {
	case c.plan.fault.hangs:
		return stopping(c.plan.point)
	case c.plan.fault.effect != refuses || c.plan.fault.lift == nil:
		return false
	}
	select {
	case <-c.hit.lifted:
		return began.Before(c.hit.liftedAt.Add(answerLimit))
	default:
		return true
	}
}

// engineLags tells whether the engine takes for running what ended with the shim: containerd asks a shim what is left of
// a container that ended, and when the shim dies under that question it is a second until containerd looks again.
func (c *cycle) engineLags(err error) bool {
	return c.plan.fault.name == "kill-shim" && strings.Contains(err.Error(), "is still running")
}

// podsByName are the pods of the cycle that the engine knows: one whose start failed may be among them or not.
func (c *cycle) podsByName(ctx context.Context) []string {
	var ids []string
	c.insist(ctx, "list the pods", func(ctx context.Context) error {
		list, err := c.runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
		if err != nil {
			return err
		}
		ids = nil
		for _, p := range list.Items {
			if p.Metadata.Name == c.name {
				ids = append(ids, p.Id)
			}
		}
		return nil
	})
	return ids
}

// removeOrphans takes away what the engine itself has forgotten: one that dies while it makes a pod knows nothing of it
// when it comes back, but the task goes on.
func (c *cycle) removeOrphans(ctx context.Context) {
	if c.plan.fault.effect != crashes {
		return
	}
	out, err := c.node.Ctr(ctx, "--namespace", "k8s.io", "containers", "list", "--quiet")
	if err != nil {
		c.wrong("%v", err)
		return
	}
	for _, id := range strings.Fields(out) {
		if id == c.bystander.pod || id == c.bystander.container {
			continue
		}
		for _, words := range [][]string{{"tasks", "rm", "--force", id}, {"containers", "rm", id}} {
			res, err := c.node.Runner().Try(ctx, "ctr", append([]string{"--namespace", "k8s.io"}, words...)...)
			if err != nil || res.Code != 0 && !strings.Contains(res.Stderr, "not found") && !strings.Contains(res.Stderr, "exit with non-zero") {
				c.wrong("remove what the engine forgot: %v", fmt.Sprint(err, res.Stderr))
			}
		}
	}
}

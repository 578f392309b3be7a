// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/protocols/timeouts"
)

// stage is a part of a life, at a point of its own. rest says that nothing goes on there, so that a strike is waited
// for.
type stage struct {
	point string
	rest  bool
	call  func(ctx context.Context) error
}

// errDead is why a life breaks off that was ended on purpose.
var errDead = errors.New("the pod was struck dead")

// callLimit bounds each call of a life, as a kubelet does; a call that takes as long is a violation. Every call of the
// runtime ends within it, with what it takes back: see package timeouts.
const callLimit = timeouts.Engine

// made is a call of a life.
type made struct {
	point        string
	began, ended time.Time
}

// live takes the pod through its life, up to its removal. It breaks off with the first call that fails, and before a
// call to a pod that was struck dead.
func (c *cycle) live(ctx context.Context) error {
	for _, s := range c.stages() {
		c.reach(s.point)
		if s.rest {
			c.settle(s.point)
		}
		if c.dead() {
			return errDead
		}
		if err := c.call(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.point, err)
		}
	}
	return nil
}

// settle waits for a strike at rest, and brings one about whose point has not come.
func (c *cycle) settle(point string) {
	if c.plan.point == "none" || c.plan.point != point && !observed(c.plan.point) {
		return
	}
	c.strikeNow()
	<-c.hit.done
}

// call makes one call.
func (c *cycle) call(ctx context.Context, s stage) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	began := time.Now()
	err := s.call(ctx)
	m := made{s.point, began, time.Now()}
	c.calls = append(c.calls, m)
	if m.ended.Sub(began) >= callLimit {
		c.wrong("%s: no answer after %s: %v", s.point, callLimit, err)
	}
	if err == nil || c.plan.fault.effect != crashes || !c.interrupted(began) {
		return err
	}
	c.awaitEngine()
	return errInterrupted
}

// errInterrupted is why a life breaks off whose call was cut short by the death of the engine: what became of the
// call is not known, and a kubelet removes the pod and makes another.
var errInterrupted = errors.New("the engine died under a call")

// interrupted tells whether the engine died since then.
func (c *cycle) interrupted(then time.Time) (cut bool) {
	defer func() { c.cut = c.cut || cut }()
	select {
	case <-c.hit.done:
		return c.hit.at.After(then)
	default:
		if c.engine.TryLock() {
			c.engine.Unlock()
			return false
		}
		return true
	}
}

func (c *cycle) stages() []stage {
	if c.lone() {
		return c.loneStages()
	}
	config := c.podConfig(c.name)
	nothing := func(context.Context) error { return nil }
	return []stage{
		{"start", false, func(ctx context.Context) error { return c.runPod(ctx, config) }},
		{"run/create-1", false, func(ctx context.Context) error { return c.create(ctx, config, c.first()) }},
		{"run/start-1", false, func(ctx context.Context) error { return c.start(ctx, 0) }},
		{"run/create-2", false, func(ctx context.Context) error { return c.create(ctx, config, c.second()) }},
		{"run/start-2", false, func(ctx context.Context) error { return c.start(ctx, 1) }},
		{"run/idle", true, nothing},
		{"exec/create", false, c.exec},
		{"exec/long", false, c.execLong},
		{"exec/running", true, nothing},
		{"stop/container", false, c.stopFirst},
	}
}

func (s *suite) podConfig(name string) *cri.PodSandboxConfig {
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Namespace: "chaos", Uid: name},
		Hostname:     name,
		LogDirectory: s.node.PodLogs() + "/" + name,
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent:    "/" + s.node.Name(),
			SecurityContext: &cri.LinuxSandboxSecurityContext{Privileged: true},
		},
	}
}

// first ends with code 0 when it is asked to; second, which never ends by itself, may do what it likes in its guest.
func (c *cycle) first() *cri.ContainerConfig {
	return container("one", false, "sh", "-c", "ln -s /bin/probe /"+firstProgram+" && exec /"+firstProgram+" pause")
}

// firstProgram is what the first container's process is called; see fromCore for why it is short.
const firstProgram = "p"

func (c *cycle) second() *cri.ContainerConfig {
	return container("two", true, "sh", "-c", "while :; do sleep 1; done")
}

func container(name string, privileged bool, command ...string) *cri.ContainerConfig {
	return &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: name}, Image: &cri.ImageSpec{Image: images.Busybox},
		Command: command, LogPath: name + ".log",
		Linux: &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{Privileged: privileged}},
	}
}

func (c *cycle) runPod(ctx context.Context, config *cri.PodSandboxConfig) error {
	run, err := c.runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: c.plan.handler})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.pod = run.PodSandboxId
	c.mu.Unlock()
	c.up = true
	return nil
}

func (c *cycle) create(ctx context.Context, pod *cri.PodSandboxConfig, config *cri.ContainerConfig) error {
	created, err := c.runtime.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: c.id(), SandboxConfig: pod, Config: config})
	if err != nil {
		return err
	}
	c.containers = append(c.containers, created.ContainerId)
	return nil
}

func (c *cycle) start(ctx context.Context, which int) error {
	if _, err := c.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: c.containers[which]}); err != nil {
		return err
	}
	c.begun++
	c.waitAtShim(context.WithoutCancel(ctx), c.containers[which])
	return nil
}

func (c *cycle) exec(ctx context.Context) error {
	answer, err := c.runtime.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: c.containers[0], Cmd: []string{"echo", "here"}})
	if err != nil {
		return err
	}
	if string(answer.Stdout) != "here\n" || answer.ExitCode != 0 {
		return fmt.Errorf("echo printed %q, code %d", answer.Stdout, answer.ExitCode)
	}
	return nil
}

// execLong runs a process that lasts as long as its container, and waits until it runs.
func (c *cycle) execLong(ctx context.Context) error {
	id := c.containers[0]
	before, _ := c.events.of(id)
	w := c.waiters.add("exec of a long process", func() (uint32, error) {
		answer, err := c.runtime.ExecSync(context.WithoutCancel(ctx), &cri.ExecSyncRequest{ContainerId: id, Cmd: []string{"sleep", "1000"}})
		if err != nil {
			return 0, err
		}
		return uint32(answer.ExitCode), nil
	})
	return c.awaitExec(ctx, w, func() bool {
		now, gaps := c.events.of(id)
		return len(now) > len(before) || gaps
	})
}

// awaitExec waits until an exec runs, or has failed.
func (c *cycle) awaitExec(ctx context.Context, w *waiter, runs func() bool) error {
	for !runs() {
		select {
		case <-w.done:
			return fmt.Errorf("a process that lasts ended with code %d: %w", w.code, errors.Join(w.err, errNoExec))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

var errNoExec = errors.New("it should go on")

func (c *cycle) stopFirst(ctx context.Context) error {
	c.stopped = true
	_, err := c.runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: c.containers[0], Timeout: 10})
	return err
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/katapod/katapod/integration/node"
	"github.com/katapod/katapod/sandbox"
)

// Names of the figures. A step of a start is named "step ", its name, and the way of the start.
const (
	vmToAgent   = "VM, QEMU exec to agent answered: "
	podStart    = "pod, RunPodSandbox to first container running: "
	execCrictl  = "exec round trip (crictl exec)"
	execCall    = "exec round trip (ExecSync)"
	podRemoval  = "stop and remove a pod: "
	shimPSS     = "shim PSS with one pod, idle"
	shimBusyPSS = "shim PSS with one pod, right after execs"
	sandboxPSS  = "sandbox PSS (shim, VMM, helpers), idle"
	guestMemory = "guest memory used, idle"
)

// way is a way to start a pod, and the handler of runc on the same snapshotter.
type way struct {
	name, handler, runc string
	// template says that the pod's VM is to be cloned.
	template bool
}

// ways are all that is measured; memory, exec and removal are those of the first.
var ways = []way{
	{"EROFS, from template", "kata-erofs", "runc-erofs", true},
	{"overlayfs, from template", "kata", "runc", true},
	{"EROFS, cold boot", node.ColdHandler, "runc-erofs", false},
}

// pods starts pods of each kind in turn, so that a slow minute of the machine is everyone's. The first of each, which
// warms the page cache, does not count.
func pods(ctx context.Context, b *bench) error {
	unused := &bench{Client: b.Client, node: b.node, ours: samples{}, runc: samples{}, warming: true}
	if err := unused.round(ctx); err != nil {
		return err
	}
	for _, w := range ways {
		if err := unused.awaitTemplate(ctx, w); err != nil {
			return err
		}
	}
	for range b.runs {
		if err := b.round(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) round(ctx context.Context) error {
	for i, w := range ways {
		for _, s := range []side{{w.runc, b.runc}, {w.handler, b.ours}} {
			if err := b.onePod(ctx, w, s, i == 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// onePod measures the start, and in depth what a pod costs after it.
func (b *bench) onePod(ctx context.Context, w way, s side, inDepth bool) error {
	begin := time.Now()
	p, err := b.Start(ctx, s.handler, "bench", waiting(nil, nil))
	if err != nil {
		return err
	}
	s.samples.addTime(podStart+w.name, begin)
	if strings.HasPrefix(s.handler, "kata") {
		if err := b.steps(p, w, s.samples); err != nil {
			return err
		}
	}
	if inDepth {
		if err := b.inside(ctx, p, s); err != nil {
			return err
		}
	}
	begin = time.Now()
	if err := b.Remove(ctx, p); err != nil {
		return err
	}
	s.samples.addTime(podRemoval+w.name, begin)
	return nil
}

// steps reads the timeline of the start. It is an error when the pod did not start in the way that is measured.
func (b *bench) steps(p pod, w way, into samples) error {
	line, err := b.node.Timeline(p.ID)
	if err != nil {
		return err
	}
	if !b.warming && (line.Origin.Kind == sandbox.OriginTemplate) != w.template {
		return fmt.Errorf("a pod that was to start %s has another origin, %+v", w.name, line.Origin)
	}
	var agent float64
	for _, step := range line.Steps {
		into.add(fmt.Sprintf("step %s, %s", step.Name, w.name), step.DurationMS)
		switch step.Name {
		case sandbox.StepClone, sandbox.StepVM, sandbox.StepAgent:
			agent += step.DurationMS
		}
	}
	into.add(vmToAgent+w.name, agent)
	return nil
}

// awaitTemplate starts pods until one is cloned: the first of a kind boots, and has its template made in the
// background, as for any user.
func (b *bench) awaitTemplate(ctx context.Context, w way) error {
	if !w.template {
		return nil
	}
	var last sandbox.Origin
	for end := time.Now().Add(4 * time.Minute); time.Now().Before(end); {
		p, err := b.Start(ctx, w.handler, "bench", waiting(nil, nil))
		if err != nil {
			return err
		}
		line, err := b.node.Timeline(p.ID)
		if err := errors.Join(err, b.Remove(ctx, p)); err != nil {
			return err
		}
		if last = line.Origin; last.Kind == sandbox.OriginTemplate {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("no pod starts %s; the last one: %+v", w.name, last)
}

// inside measures exec, then memory: at once, and when the pod has been left alone.
func (b *bench) inside(ctx context.Context, p pod, s side) error {
	for range 5 {
		begin := time.Now()
		if _, err := b.node.Crictl(ctx, "exec", "--sync", p.Container, "true"); err != nil {
			return err
		}
		s.samples.addTime(execCrictl, begin)
		begin = time.Now()
		if _, err := b.Exec(ctx, p, "true"); err != nil {
			return err
		}
		s.samples.addTime(execCall, begin)
	}
	busy, err := b.memory()
	if err != nil {
		return err
	}
	s.samples.add(shimBusyPSS, busy.shim)
	if err := waitIdle(ctx); err != nil {
		return err
	}
	quiet, err := b.memory()
	if err != nil {
		return err
	}
	s.samples.add(shimPSS, quiet.shim)
	s.samples.add(sandboxPSS, quiet.all)
	if s.handler == "kata-erofs" {
		return b.guestMemory(ctx, p, s.samples)
	}
	return nil
}

// guestMemory reads what the guest's kernel says of its memory.
func (b *bench) guestMemory(ctx context.Context, p pod, into samples) error {
	text, err := b.Exec(ctx, p, "cat", "/proc/meminfo")
	if err != nil {
		return err
	}
	values := map[string]float64{}
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) >= 2 {
			values[fields[0]], _ = strconv.ParseFloat(fields[1], 64) // KiB; other lines do not matter
		}
	}
	total, available := values["MemTotal:"], values["MemAvailable:"]
	if total == 0 || available == 0 {
		return fmt.Errorf("the guest's /proc/meminfo has no MemTotal and MemAvailable: %q", text)
	}
	into.add(guestMemory, (total-available)*1024/1e6)
	return nil
}

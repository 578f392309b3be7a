// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// samples are measured values by the name of what was measured.
type samples map[string][]float64

// Names of what is measured. A step of the start-up is named "step " and its name.
const (
	podStart    = "RunPodSandbox to started container"
	sandbox     = "RunPodSandbox"
	vmToAgent   = "VM to agent"
	execTrip    = "exec round trip"
	podRemoval  = "stop and remove pod"
	shimPSS     = "shim PSS"
	shimBusyPSS = "shim PSS, after execs"
	vmmPSS      = "VMM PSS"
	helpersPSS  = "helpers PSS"
	workersPSS  = "container processes PSS"
	guestMemory = "guest memory used, idle"
)

func (s samples) add(name string, value float64) { s[name] = append(s[name], value) }

func (s samples) addTime(name string, since time.Time) {
	s.add(name, float64(time.Since(since).Microseconds())/1000)
}

// measure runs pods one after the other; the first, which warms the page cache, does not count.
func measure(ctx context.Context, n *node.Node, handler string, runs int) (samples, error) {
	if err := measurePod(ctx, n, handler, samples{}); err != nil {
		return nil, err
	}
	s := samples{}
	for range runs {
		if err := measurePod(ctx, n, handler, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func measurePod(ctx context.Context, n *node.Node, handler string, s samples) error {
	spec := node.Pod{Name: "bench", Handler: handler}
	begin := time.Now()
	id, err := n.RunPod(ctx, spec)
	if err != nil {
		return err
	}
	s.addTime(sandbox, begin)
	container, err := n.StartContainer(ctx, id, spec, node.Container{
		Name: "main", Image: images.Busybox, Args: []string{"probe", "pause"},
	})
	if err != nil {
		return err
	}
	s.addTime(podStart, begin)
	for range 5 {
		begin := time.Now()
		if _, err := n.Crictl(ctx, "exec", "--sync", container, "true"); err != nil {
			return err
		}
		s.addTime(execTrip, begin)
	}
	busy, err := memory(n)
	if err != nil {
		return err
	}
	s.add(shimBusyPSS, float64(busy.Shim)/mb)
	if err := measureIdle(ctx, n, s); err != nil {
		return err
	}
	if handler != "runc" {
		if err := measureSteps(ctx, n, id, container, s); err != nil {
			return err
		}
	}
	begin = time.Now()
	if err := n.RemovePod(ctx, id); err != nil {
		return err
	}
	s.addTime(podRemoval, begin)
	return nil
}

// idle is how long a pod is left alone before its memory counts: density is
// about pods that wait, and both shims give memory back when they do.
const idle = 5 * time.Second

const mb = 1e6

// memory is what the pod's processes on the host have now.
func memory(n *node.Node) (node.Memory, error) {
	processes, err := n.PodProcesses()
	if err != nil {
		return node.Memory{}, err
	}
	return node.MemoryOf(processes)
}

// measureIdle leaves the pod alone for a while, and reads its memory then.
func measureIdle(ctx context.Context, n *node.Node, s samples) error {
	select {
	case <-time.After(idle):
	case <-ctx.Done():
		return ctx.Err()
	}
	m, err := memory(n)
	if err != nil {
		return err
	}
	s.add(shimPSS, float64(m.Shim)/mb)
	s.add(vmmPSS, float64(m.VMM)/mb)
	s.add(helpersPSS, float64(m.Helpers)/mb)
	s.add(workersPSS, float64(m.Workers)/mb)
	return nil
}

// measureSteps reads the steps of the start-up, and the guest's memory from inside.
func measureSteps(ctx context.Context, n *node.Node, id, container string, s samples) error {
	steps, err := n.Timeline(id)
	if err != nil {
		return err
	}
	var both float64
	for _, step := range steps {
		s.add("step "+step.Name, step.DurationMS)
		if step.Name == "vm" || step.Name == "agent" {
			both += step.DurationMS
		}
	}
	s.add(vmToAgent, both)
	text, err := n.Crictl(ctx, "exec", "--sync", container, "cat", "/proc/meminfo")
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
	s.add(guestMemory, (total-available)*1024/1e6)
	return nil
}

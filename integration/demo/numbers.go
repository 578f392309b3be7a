// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/katapod/katapod/integration/node"
)

// showNumbers prints where the time of the second pod's start went, and what the first pod's processes weigh.
func (d *demo) showNumbers() error {
	if d.handler != "runc" {
		if err := d.check("the second pod's start by step", d.timeline); err != nil {
			return err
		}
	}
	return d.check("memory of the host processes of both pods (PSS)", d.memory)
}

func (d *demo) timeline() ([]string, error) {
	line, err := d.Timeline(d.second.id)
	if err != nil {
		return nil, err
	}
	steps := line.Steps
	if len(steps) == 0 {
		return nil, errors.New("the shim recorded no steps")
	}
	var longest, end float64
	for _, s := range steps {
		longest, end = max(longest, s.DurationMS), max(end, s.StartMS+s.DurationMS)
	}
	var facts []string
	for _, s := range steps {
		bar := strings.Repeat("█", int(1+30*s.DurationMS/max(longest, 1)))
		facts = append(facts, fmt.Sprintf("%-20s at %7.1f ms  for %7.1f ms  %s", s.Name, s.StartMS, s.DurationMS, bar))
	}
	return append(facts, fmt.Sprintf("sandbox ready after %.0f ms; crictl runp in all %d ms", end, d.second.took.Milliseconds())), nil
}

func (d *demo) memory() ([]string, error) {
	processes, err := d.PodProcesses()
	if err != nil {
		return nil, err
	}
	m, err := node.MemoryOf(processes)
	if err != nil {
		return nil, err
	}
	facts := []string{
		fmt.Sprintf("shims   %8.1f MiB", mib(m.Shim)),
		fmt.Sprintf("VMMs    %8.1f MiB", mib(m.VMM)),
		fmt.Sprintf("helpers %8.1f MiB", mib(m.Helpers)),
	}
	if m.Workers > 0 {
		facts = append(facts, fmt.Sprintf("others  %8.1f MiB", mib(m.Workers)))
	}
	if m.Shim == 0 || d.handler != "runc" && m.VMM == 0 {
		return facts, fmt.Errorf("a shim and a VMM should be running, the node's processes are %v", processes)
	}
	return facts, nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox"
)

// step is one line of a pod's timeline.json; times are in milliseconds.
type step struct {
	Name       string  `json:"name"`
	StartMS    float64 `json:"start_ms"`
	DurationMS float64 `json:"duration_ms"`
}

// timelineFile is the form of timeline.json.
type timelineFile struct {
	Origin sandbox.Origin `json:"origin"`
	Steps  []step         `json:"steps"`
}

func steps(list []sandbox.Step) []step {
	out := make([]step, 0, len(list))
	for _, s := range list {
		out = append(out, step{s.Name, milliseconds(s.Start), milliseconds(s.Duration)})
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (t Tool) timeline(_ context.Context, f flags) error {
	if len(f.rest) != 1 {
		return fmt.Errorf("one sandbox id is needed; %w", errUsage)
	}
	c, err := f.load()
	if err != nil {
		return err
	}
	dir, err := findPod(c.Runtime.SandboxesDir(), f.rest[0])
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "timeline.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s: the pod is not up: %w", path, errdefs.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("read the timeline: %w", err)
	}
	var line timelineFile
	if err := json.Unmarshal(text, &line); err != nil {
		return fmt.Errorf("%s is not a timeline: %w", path, err)
	}
	if f.json {
		return t.writeJSON(line)
	}
	t.printOrigin(line.Origin)
	return t.printSteps(line.Steps)
}

// printOrigin says how the VM came up, unless an older version did not note it.
func (t Tool) printOrigin(o sandbox.Origin) {
	switch o.Kind {
	case sandbox.OriginTemplate:
		fmt.Fprintln(t.Out, "from template", o.Template)
	case sandbox.OriginBoot:
		fmt.Fprintln(t.Out, "booted:", o.Reason)
	}
}

func (t Tool) printSteps(list []step) error {
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "step\tat\ttook\t")
	end := 0.0
	for _, s := range list {
		fmt.Fprintf(w, "%s\t%.1f ms\t%.1f ms\t\n", s.Name, s.StartMS, s.DurationMS)
		end = max(end, s.StartMS+s.DurationMS)
	}
	fmt.Fprintf(w, "all\t\t%.1f ms\t\n", end)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// Step is one named step of a pod's start, or of its share that came later, and what
// it took.
type Step struct {
	// Name is stable: tools compare timelines by it.
	Name string
	// Start counts from the beginning of [Sandbox.Start]; Duration is zero for
	// a step that has not ended.
	Start, Duration time.Duration
}

// timeline records steps as they end. It is safe for concurrent use.
type timeline struct {
	// begun, if set, is told of each step that begins.
	begun func(name string)

	// mu guards what follows.
	mu    sync.Mutex
	begin time.Time
	steps []Step
}

// start sets the moment that all steps count from.
func (t *timeline) start(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begin = at
}

// since is when something happened, counted as steps are.
func (t *timeline) since(at time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return at.Sub(t.begin)
}

// measure runs fn as the step of the given name.
func (t *timeline) measure(name string, fn func() error) error {
	if t.begun != nil {
		t.begun(name)
	}
	began := time.Now()
	err := fn()
	ended := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = append(t.steps, Step{Name: name, Start: began.Sub(t.begin), Duration: ended.Sub(began)})
	return err
}

// list returns a copy, in the order in which steps began.
func (t *timeline) list() []Step {
	t.mu.Lock()
	defer t.mu.Unlock()
	steps := slices.Clone(t.steps)
	slices.SortStableFunc(steps, func(a, b Step) int { return int(a.Start - b.Start) })
	return steps
}

// timelineFile is the form of timeline.json; times are in milliseconds.
type timelineFile struct {
	// Origin is how the VM came up.
	Origin Origin         `json:"origin"`
	Steps  []timelineStep `json:"steps"`
}

type timelineStep struct {
	Name       string  `json:"name"`
	StartMS    float64 `json:"start_ms"`
	DurationMS float64 `json:"duration_ms"`
}

// write stores the timeline at path.
func (t *timeline) write(path string, origin Origin) error {
	f := timelineFile{Origin: origin}
	for _, s := range t.list() {
		f.Steps = append(f.Steps, timelineStep{s.Name, milliseconds(s.Start), milliseconds(s.Duration)})
	}
	return writeJSON(path, f)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// writeJSON replaces the file at path, so that a reader sees the old text or
// the new one.
func writeJSON(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

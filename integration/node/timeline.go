// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/config"
)

// criNamespace is containerd's namespace for what its CRI plugin runs.
const criNamespace = "k8s.io"

// SandboxDir is where the kata shim of a pod of the CRI keeps its state.
func (l Layout) SandboxDir(id string) string {
	return config.Runtime{StateDir: l.StateDir()}.SandboxDir(criNamespace, id)
}

// Step is a part of a sandbox's start-up as the shim recorded it.
type Step struct {
	Name       string  `json:"name"`
	StartMS    float64 `json:"start_ms"` // since the start of the sandbox
	DurationMS float64 `json:"duration_ms"`
}

// Timeline is what the shim of a pod recorded about its start.
type Timeline struct {
	// Origin is how the VM came up.
	Origin sandbox.Origin
	Steps  []Step
}

// Timeline reads what the shim of a pod of the CRI recorded about its start.
func (l Layout) Timeline(id string) (Timeline, error) { return readTimeline(l.SandboxDir(id), id) }

// TimelineOfCtr is the same for a container that ctr runs.
func (l Layout) TimelineOfCtr(id string) (Timeline, error) {
	return readTimeline(config.Runtime{StateDir: l.StateDir()}.SandboxDir(l.Name(), id), id)
}

func readTimeline(dir, id string) (Timeline, error) {
	text, err := os.ReadFile(filepath.Join(dir, "timeline.json"))
	if err != nil {
		return Timeline{}, fmt.Errorf("read the start-up timeline of sandbox %s: %w", id, err)
	}
	var recorded Timeline
	if err := json.Unmarshal(text, &recorded); err != nil {
		return Timeline{}, fmt.Errorf("read the start-up timeline of sandbox %s: %w", id, err)
	}
	return recorded, nil
}

// Info is what the shim of a pod of the CRI tells tools about it, see sandbox.Info.
func (l Layout) Info(id string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(l.SandboxDir(id), "info.json"))
	if err != nil {
		return nil, fmt.Errorf("read what is told about sandbox %s: %w", id, err)
	}
	var info map[string]string
	if err := json.Unmarshal(text, &info); err != nil {
		return nil, fmt.Errorf("read what is told about sandbox %s: %w", id, err)
	}
	return info, nil
}

// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/katapod/katapod/sandbox/config"
)

// criNamespace is containerd's namespace for what its CRI plugin runs.
const criNamespace = "k8s.io"

// SandboxDir is where the kata shim of a pod of the CRI keeps its state.
func (l Layout) SandboxDir(sandbox string) string {
	return config.Runtime{StateDir: l.StateDir()}.SandboxDir(criNamespace, sandbox)
}

// Step is a part of a sandbox's start-up as the shim recorded it.
type Step struct {
	Name       string  `json:"name"`
	StartMS    float64 `json:"start_ms"` // since the start of the sandbox
	DurationMS float64 `json:"duration_ms"`
}

// Timeline reads the start-up steps that the shim of a pod of the CRI recorded.
func (l Layout) Timeline(sandbox string) ([]Step, error) {
	text, err := os.ReadFile(filepath.Join(l.SandboxDir(sandbox), "timeline.json"))
	if err != nil {
		return nil, fmt.Errorf("read the start-up timeline of sandbox %s: %w", sandbox, err)
	}
	var recorded struct{ Steps []Step }
	if err := json.Unmarshal(text, &recorded); err != nil {
		return nil, fmt.Errorf("read the start-up timeline of sandbox %s: %w", sandbox, err)
	}
	return recorded.Steps, nil
}

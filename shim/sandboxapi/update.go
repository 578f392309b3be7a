// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/shim/sandboxapi/sandboxpb"
)

// said is what a sandbox was told about itself that changes nothing about its VM.
type said struct {
	labels, annotations map[string]string
}

// UpdateSandbox changes what can change while a VM runs: labels, annotations that
// do not configure the VM, and what the containers may use together, as far as the
// VM holds it. It does all of that or nothing.
func (s *Service) UpdateSandbox(ctx context.Context, r *sandboxpb.UpdateSandboxRequest) (*sandboxpb.UpdateSandboxResponse, error) {
	if _, err := s.created(r.SandboxId); err != nil {
		return nil, err
	}
	vm, err := s.Pod.Sandbox()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted, err := readChange(r, s.said)
	if err != nil {
		return nil, fmt.Errorf("update sandbox %s: %w", r.SandboxId, err)
	}
	if err := vm.Update(ctx, wanted.resources); err != nil {
		return nil, err
	}
	s.said = wanted.said
	return &sandboxpb.UpdateSandboxResponse{}, nil
}

// tell adds labels and annotations to a status.
func (s *Service) tell(info map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, pairs := range map[string]map[string]string{"labels": s.said.labels, "annotations": s.said.annotations} {
		if text, err := json.Marshal(pairs); err == nil && len(pairs) > 0 { // a map of strings has no error
			info[name] = string(text)
		}
	}
}

// configuring begins the annotations that say what a VM is to be.
const configuring = "io.katacontainers."

// mergeAnnotations adds changed ones to those that are there.
func mergeAnnotations(have, changed map[string]string) (map[string]string, error) {
	for name, value := range changed {
		if old, found := have[name]; strings.HasPrefix(name, configuring) && (!found || old != value) {
			return nil, fmt.Errorf("the annotation %s configures a VM before its start, and this one runs; create the pod anew: %w",
				name, errdefs.ErrNotImplemented)
		}
	}
	merged := maps.Clone(have)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, changed)
	return merged, nil
}

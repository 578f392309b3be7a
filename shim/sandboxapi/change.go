// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/katapod/katapod/sandbox/sizing"
	"github.com/katapod/katapod/shim/sandboxapi/sandboxpb"
)

// change is what an UpdateSandbox asks for.
type change struct {
	said      said
	resources sizing.Request
}

// The names by which containerd's CRI plugin hands over the new size of a pod
// (internal/cri/server/podsandbox/helpers.go).
const (
	resourcesExtension = "updated-resources"
	resourcesExtType   = "io.containerd.cri.v1/UpdatedResources"
)

// readChange reads a request over what was said before. Without a mask, all that
// can change is taken from the request; with one, what it names has to be there to
// change.
func readChange(r *sandboxpb.UpdateSandboxRequest, before said) (change, error) {
	c := change{said: before}
	var err error
	if c.said.annotations, err = mergeAnnotations(before.annotations, r.Annotations); err != nil {
		return change{}, err
	}
	if c.resources, err = readResources(r.Resources); err != nil {
		return change{}, err
	}
	if id := r.Sandbox.GetSandboxID(); id != "" && id != r.SandboxId {
		return change{}, fmt.Errorf("the request names the sandbox %s inside: %w", id, errdefs.ErrInvalidArgument)
	}
	mask := r.Fields
	if len(mask) == 0 && r.Sandbox != nil {
		mask = []string{"labels", "extensions"}
	}
	for _, field := range mask {
		if err := c.apply(field, r.Sandbox); err != nil {
			return change{}, err
		}
	}
	return c, nil
}

// apply takes over one field. The names are those of containerd's own store of
// sandboxes (core/metadata/sandbox.go).
func (c *change) apply(field string, from *types.Sandbox) error {
	name, key, single := strings.Cut(field, ".")
	switch {
	case name == "labels" && single:
		c.said.labels = maps.Clone(c.said.labels)
		if c.said.labels == nil {
			c.said.labels = map[string]string{}
		}
		c.said.labels[key] = from.GetLabels()[key]
	case name == "labels":
		c.said.labels = maps.Clone(from.GetLabels())
	case name == "extensions" && single && key != resourcesExtension:
		return fmt.Errorf("this runtime has no use for the extension %s: %w", key, errdefs.ErrNotImplemented)
	case name == "extensions":
		return c.extension(from.GetExtensions()[resourcesExtension]) // the others are of whoever wrote them
	case name == "runtime" || name == "spec" || name == "sandboxer" || name == "created_at":
		return fmt.Errorf("the field %s of a sandbox that was created does not change; create the pod anew: %w", field, errdefs.ErrNotImplemented)
	default:
		return fmt.Errorf("a sandbox has no field %q: %w", field, errdefs.ErrInvalidArgument)
	}
	return nil
}

// extension reads the new size of a pod: its containers' share, and what the
// runtime needs beside them, which is the runtime's own affair.
func (c *change) extension(any *anypb.Any) error {
	if any == nil {
		return nil
	}
	if any.TypeUrl != resourcesExtType {
		return fmt.Errorf("the extension %s is of type %q; a %s is needed: %w", resourcesExtension, any.TypeUrl, resourcesExtType, errdefs.ErrInvalidArgument)
	}
	var updated struct{ Resources criResources }
	if err := json.Unmarshal(any.Value, &updated); err != nil {
		return fmt.Errorf("the extension %s cannot be read: %w: %w", resourcesExtension, errdefs.ErrInvalidArgument, err)
	}
	c.resources = updated.Resources.request().Merge(c.resources)
	return nil
}

// criResources is the CRI's LinuxContainerResources in JSON.
type criResources struct {
	Period uint64 `json:"cpu_period"`
	Quota  int64  `json:"cpu_quota"`
	Shares uint64 `json:"cpu_shares"`
	Memory int64  `json:"memory_limit_in_bytes"`
	Cpuset string `json:"cpuset_cpus"`
}

func (r criResources) request() sizing.Request {
	return sizing.Request{CPUPeriod: r.Period, CPUQuota: r.Quota, CPUShares: r.Shares, MemoryBytes: r.Memory, Cpuset: r.Cpuset}
}

// readResources reads what engines have for resources: OCI's LinuxResources, in
// JSON, or the CRI's LinuxContainerResources.
func readResources(any *anypb.Any) (sizing.Request, error) {
	switch url := any.GetTypeUrl(); {
	case any == nil:
		return sizing.Request{}, nil
	case strings.HasSuffix(url, "/LinuxResources"):
		var resources specs.LinuxResources
		if err := json.Unmarshal(any.Value, &resources); err != nil {
			return sizing.Request{}, fmt.Errorf("the resources cannot be read: %w: %w", errdefs.ErrInvalidArgument, err)
		}
		return sizing.FromSpec(&specs.Spec{Linux: &specs.Linux{Resources: &resources}}), nil
	case strings.HasSuffix(url, "runtime.v1.LinuxContainerResources"):
		f, err := parse(any.Value)
		if err != nil {
			return sizing.Request{}, fmt.Errorf("the resources cannot be read: %w", err)
		}
		return request(f), nil
	default:
		return sizing.Request{}, fmt.Errorf("resources of type %q are not known; send LinuxResources of the OCI runtime specification: %w", url, errdefs.ErrInvalidArgument)
	}
}

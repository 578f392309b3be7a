// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/sandbox/sizing"
)

// maxSpec bounds the specification of a sandbox, in bytes.
const maxSpec = 4 << 20

// specConfig reads the pod's configuration from the OCI specification that clients
// of containerd's own API leave in the bundle, such as `ctr sandboxes run`. It is
// nil when there is none.
func specConfig(bundle string) (*podConfig, error) {
	path := filepath.Join(bundle, "config.json")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxSpec) {
		err = fmt.Errorf("%s is no file of at most %d bytes", path, maxSpec)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	var spec specs.Spec
	if err == nil {
		err = json.Unmarshal(text, &spec)
	}
	if err != nil {
		return nil, fmt.Errorf("read the sandbox's OCI specification: %w: %w", errdefs.ErrInvalidArgument, err)
	}
	return fromSpec(&spec), nil
}

// fromSpec takes what a pod has of a specification. One without a word about Linux
// leaves the namespaces to the runtime.
func fromSpec(s *specs.Spec) *podConfig {
	c := &podConfig{hostname: s.Hostname, annotations: s.Annotations, resources: sizing.FromSpec(s)}
	if s.Linux == nil {
		return c
	}
	c.sysctls, c.cgroupsPath = s.Linux.Sysctl, s.Linux.CgroupsPath
	find := func(kind specs.LinuxNamespaceType) int {
		return slices.IndexFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
	}
	network := find(specs.NetworkNamespace)
	c.hostNetwork, c.hostIPC = network < 0, find(specs.IPCNamespace) < 0
	if network >= 0 {
		c.netns = s.Linux.Namespaces[network].Path
	}
	return c
}

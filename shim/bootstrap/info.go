// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// annotationMounts tells containerd 2.1 to 2.3 which mounts the shim takes over,
// as the bootstrap result tells later ones.
const annotationMounts = "containerd.io/runtime-allow-mounts"

// featuresType is the type URL under which containerd knows OCI features.
const featuresType = "types.containerd.io/opencontainers/runtime-spec/1/features/Features"

// Info answers the -info question: the options of stdin repeated, and what the
// runtime can do.
func Info(stdin io.Reader, version string) (*types.RuntimeInfo, error) {
	input, err := io.ReadAll(io.LimitReader(stdin, maxInput))
	if err != nil {
		return nil, fmt.Errorf("read the runtime options from stdin: %w", err)
	}
	encoded, err := json.Marshal(Features())
	if err != nil {
		return nil, fmt.Errorf("encode the runtime's features: %w", err)
	}
	info := &types.RuntimeInfo{
		Name:        RuntimeName,
		Version:     &types.RuntimeVersion{Version: version},
		Features:    &anypb.Any{TypeUrl: featuresType, Value: encoded},
		Annotations: map[string]string{annotationMounts: legacyMounts(mountCapabilities())},
	}
	if len(input) > 0 {
		info.Options = new(anypb.Any)
		if err := proto.Unmarshal(input, info.Options); err != nil {
			return nil, fmt.Errorf("stdin of the -info question does not hold runtime options: %w", err)
		}
	}
	return info, nil
}

// legacyMounts writes capabilities the way of the annotation: types, and
// transforms with "/*" behind.
func legacyMounts(c *types.MountCapabilities) string {
	entries := append([]string(nil), c.Types...)
	for _, transform := range c.Transforms {
		entries = append(entries, transform+"/*")
	}
	return strings.Join(entries, ",")
}

// Features is what a container may ask for, as the OCI runtime specification's
// features.md defines it. What is not there is refused or not tested yet.
func Features() features.Features {
	yes, no := true, false
	return features.Features{
		OCIVersionMin: "1.0.0",
		OCIVersionMax: specs.Version,
		MountOptions: []string{
			"async", "bind", "dev", "exec", "noatime", "nodev", "nodiratime", "noexec", "norelatime", "nosuid",
			"idmap", "rbind", "relatime", "ridmap", "ro", "rro", "rw", "strictatime", "suid", "sync",
			"private", "rprivate", "rshared", "rslave", "shared", "slave", "unbindable", "runbindable",
		},
		Linux: &features.Linux{
			Namespaces: []string{"cgroup", "ipc", "mount", "network", "pid", "user", "uts"},
			Cgroup:     &features.Cgroup{V1: &yes, V2: &yes, Systemd: &no},
			Seccomp:    &features.Seccomp{Enabled: &yes},
			Apparmor:   &features.Apparmor{Enabled: &no},
			Selinux:    &features.Selinux{Enabled: &no},
			MountExtensions: &features.MountExtensions{
				IDMap: &features.IDMap{Enabled: &yes},
			},
		},
	}
}

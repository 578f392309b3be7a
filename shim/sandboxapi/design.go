// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/katapod/katapod/shim/sandboxapi/sandboxpb"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/shim/pod"
)

// design turns the request into a plan, writes the pod's files, and keeps what
// only has to be told again.
func (s *Service) design(ctx context.Context, r *sandboxpb.CreateSandboxRequest) (*plan, said, error) {
	if r.BundlePath == "" {
		return nil, said{}, fmt.Errorf("create sandbox %s: the bundle path is empty: %w", r.SandboxId, errdefs.ErrInvalidArgument)
	}
	wanted, err := wish(r)
	if err != nil {
		return nil, said{}, err
	}
	if wanted.hostNetwork {
		return nil, said{}, pod.ErrHostNetwork
	}
	if wanted.hostIPC {
		return nil, said{}, pod.ErrHostIPC
	}
	annotations := map[string]string{}
	maps.Copy(annotations, wanted.annotations)
	maps.Copy(annotations, r.Annotations)
	c, err := s.Configure(ctx, annotations, s.ConfigPath)
	if err != nil {
		return nil, said{}, err
	}
	if wanted.hostname == "" {
		if wanted.hostname, err = os.Hostname(); err != nil {
			return nil, said{}, fmt.Errorf("the pod has no hostname, and the host's cannot be read: %w", err)
		}
	}
	resolvConf, err := wanted.resolvConf()
	if err != nil {
		return nil, said{}, err
	}
	mounts, err := podFiles(r.BundlePath, wanted.hostname, resolvConf)
	if err != nil {
		return nil, said{}, err
	}
	return &plan{
		options: sandbox.Options{
			ID: r.SandboxId, Namespace: s.Namespace, Bundle: r.BundlePath, Config: c,
			NetNS: cmp.Or(r.NetnsPath, wanted.netns), Hostname: wanted.hostname, DNS: pod.Lines(resolvConf),
			SharedPIDNS: wanted.sharedPID, Sysctls: wanted.sysctls,
			CgroupPath: cmp.Or(wanted.cgroupsPath, cgroupPath(wanted.cgroupParent, r.SandboxId)), Resources: wanted.resources,
		},
		mounts:    mounts,
		createdAt: time.Now(),
	}, said{labels: wanted.labels, annotations: annotations}, nil
}

// wish is the pod's configuration: the CRI's in the request, or what an OCI
// specification in the bundle says.
func wish(r *sandboxpb.CreateSandboxRequest) (podConfig, error) {
	if r.Options.GetTypeUrl() == "" {
		if c, err := specConfig(r.BundlePath); c != nil || err != nil {
			if err != nil {
				return podConfig{}, err
			}
			return *c, nil
		}
	}
	return readConfig(r.Options)
}

// cgroupPath is the pod's group below its parent, in the notation that
// containerd uses for containers: systemd's for a slice, a path otherwise.
func cgroupPath(parent, id string) string {
	switch {
	case parent == "":
		return ""
	case strings.HasSuffix(parent, ".slice"):
		return path.Base(parent) + ":cri-containerd:" + id
	default:
		return path.Join(parent, id)
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
)

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// base is the spec that ctr gives a container, with the seccomp profile that Docker and CRI add.
func (s *side) base(ctx context.Context, id string) (*specs.Spec, error) {
	ctx = namespaces.WithNamespace(ctx, s.node.Name())
	spec, err := oci.GenerateSpec(ctx, nil, &containers.Container{ID: id}, seccomp.WithDefaultProfile())
	if err != nil {
		return nil, fmt.Errorf("make the base of the specs: %w", err)
	}
	spec.Root.Path = "rootfs"
	spec.Process.Env = []string{searchPath}
	spec.Process.OOMScoreAdj = pointer(500) // less than its parent's needs a capability that the machine may lack
	spec.Linux.CgroupsPath = path.Join("/", s.node.Name(), id)
	return spec, nil
}

// loneSpec is the spec of a container without a pod.
func (s *side) loneSpec(ctx context.Context, id string) (*specs.Spec, error) {
	spec, err := s.base(ctx, id)
	if err == nil {
		spec.Hostname = "lone"
	}
	return spec, err
}

// memberSpec is the spec of a container in the pod, as containerd's CRI plugin writes it: the pod's namespaces by the
// paths of its first process, its files as bind mounts, new privileges allowed, the control groups read-only.
func (s *side) memberSpec(ctx context.Context, id string) (*specs.Spec, error) {
	spec, err := s.base(ctx, id)
	if err != nil {
		return nil, err
	}
	spec.Annotations = map[string]string{
		"io.kubernetes.cri.container-type": "container",
		"io.kubernetes.cri.sandbox-id":     s.pause.ID(),
	}
	spec.Process.NoNewPrivileges = false
	spec.Process.Rlimits = nil
	spec.Process.Env = append(spec.Process.Env, "HOSTNAME="+podName)
	of := func(kind string) string { return fmt.Sprintf("/proc/%d/ns/%s", s.pause.Pid(), kind) }
	spec.Linux.Namespaces = []specs.LinuxNamespace{
		{Type: specs.PIDNamespace},
		{Type: specs.IPCNamespace, Path: of("ipc")},
		{Type: specs.UTSNamespace, Path: of("uts")},
		{Type: specs.MountNamespace},
		{Type: specs.NetworkNamespace, Path: of("net")},
	}
	without(spec, "/run", "/dev/shm")
	spec.Mounts = append(spec.Mounts, []specs.Mount{
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"}},
		{Destination: "/etc/hosts", Type: "bind", Source: s.dir("etc/hosts"), Options: []string{"rbind", "rprivate", "rw"}},
		{Destination: "/etc/resolv.conf", Type: "bind", Source: s.dir("etc/resolv.conf"), Options: []string{"rbind", "rprivate", "rw"}},
		{Destination: "/etc/hostname", Type: "bind", Source: s.dir("etc/hostname"), Options: []string{"rbind", "rprivate", "rw"}},
		{Destination: "/dev/shm", Type: "bind", Source: s.shm(), Options: []string{"rbind", "rprivate", "rw"}},
	}...)
	return spec, nil
}

// without takes mounts out of the spec.
func without(spec *specs.Spec, destinations ...string) {
	spec.Mounts = slices.DeleteFunc(spec.Mounts, func(m specs.Mount) bool { return slices.Contains(destinations, m.Destination) })
}

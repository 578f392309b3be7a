// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// podName is the hostname of both pods.
const podName = "difftest"

// networkScript makes the network namespace of a pod ($1) with one interface, the same in both pods; the other end
// leads nowhere but to the node. Addresses are of prefixes that nothing routes, and known at once (nodad).
const networkScript = `set -e
ip netns add $1
ip link add $1 type veth peer name eth0 netns $1
ip link set $1 up
ip -n $1 link set lo up
ip -n $1 link set eth0 address 02:00:00:00:99:02 mtu 1400
ip -n $1 address add 10.99.0.2/24 dev eth0
ip -n $1 address add 2001:db8:99::2/64 dev eth0 nodad
ip -n $1 link set eth0 up
ip -n $1 route add default via 10.99.0.1
mkdir -p $2
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777,size=65536k shm $2
`

// shm is the pod's shared memory, at a path like those of the CRI plugin.
func (s *side) shm() string {
	return filepath.Join("/run/difftest/sandboxes", s.name, "shm")
}

func (s *side) network() string { return "dt-" + s.name }

// startPod makes the side's pod, with a pause container as the CRI plugin makes one.
func (s *side) startPod(ctx context.Context) error {
	if _, err := s.node.Runner().Run(ctx, "sh", "-c", networkScript, "sh", s.network(), s.shm()); err != nil {
		return fmt.Errorf("make the network of the pod: %w", err)
	}
	id := "pod-" + s.name
	spec, err := s.pauseSpec(ctx, id)
	if err != nil {
		return err
	}
	container, err := s.create(ctx, id, spec)
	if err != nil {
		return fmt.Errorf("make the pod's container with %s: %w", s.name, err)
	}
	if s.pause, err = container.NewTask(ctx, cio.NullIO); err != nil {
		return fmt.Errorf("make the pod with %s: %w", s.name, err)
	}
	if err := s.pause.Start(ctx); err != nil {
		return fmt.Errorf("start the pod with %s: %w", s.name, err)
	}
	return nil
}

func (s *side) pauseSpec(ctx context.Context, id string) (*specs.Spec, error) {
	spec, err := s.base(ctx, id)
	if err != nil {
		return nil, err
	}
	spec.Annotations = map[string]string{
		"io.kubernetes.cri.container-type": "sandbox",
		"io.kubernetes.cri.sandbox-id":     id,
	}
	spec.Hostname = podName
	spec.Process.Args = []string{"/bin/probe", "pause"}
	spec.Linux.Sysctl = podSysctls()
	for i, ns := range spec.Linux.Namespaces {
		if ns.Type == specs.NetworkNamespace {
			spec.Linux.Namespaces[i].Path = filepath.Join("/run/netns", s.network())
		}
	}
	without(spec, "/run", "/dev/shm")
	spec.Mounts = append(spec.Mounts,
		specs.Mount{Destination: "/dev/shm", Type: "bind", Source: s.shm(), Options: []string{"rbind", "ro", "nosuid", "nodev", "noexec"}},
		specs.Mount{Destination: "/etc/resolv.conf", Type: "bind", Source: s.dir("etc/resolv.conf"), Options: []string{"rbind", "ro", "nosuid", "nodev", "noexec"}})
	return spec, nil
}

// podSysctls are what the pods are given; the values are those of no kernel's own.
func podSysctls() map[string]string {
	return map[string]string{
		"net.ipv4.ip_unprivileged_port_start": "0",
		"net.ipv4.ping_group_range":           "0 2147483647",
		"net.ipv4.tcp_keepalive_time":         "4321",
		"net.core.somaxconn":                  "1234",
		"kernel.msgmax":                       "9000",
		"kernel.shm_rmid_forced":              "1",
		"fs.mqueue.msg_max":                   "17",
	}
}

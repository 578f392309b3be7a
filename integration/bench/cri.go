// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// client makes pods as a kubelet does, by CRI calls over one connection: starting crictl for each costs as much as
// half a pod with runc.
type client struct {
	node    *node.Node
	conn    *grpc.ClientConn
	runtime cri.RuntimeServiceClient
}

func newClient(n *node.Node) (*client, error) {
	conn, err := grpc.NewClient("unix://"+n.Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connect to the node's containerd: %w", err)
	}
	return &client{node: n, conn: conn, runtime: cri.NewRuntimeServiceClient(conn)}, nil
}

func (c *client) close() error { return c.conn.Close() }

// pod is a running pod and its first container.
type pod struct {
	id, container string
	config        *cri.PodSandboxConfig
}

// workload is the container of a pod, which waits.
type workload struct {
	mounts []*cri.Mount
	limits *cri.LinuxContainerResources // of the pod and its container; nil is no limit
}

// start makes a pod with one running container. What was begun is removed when it fails.
func (c *client) start(ctx context.Context, handler, name string, w workload) (pod, error) {
	p := pod{config: c.podConfig(name, w)}
	sandbox, err := c.runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: p.config, RuntimeHandler: handler})
	if err != nil {
		return pod{}, fmt.Errorf("run pod %s with %s: %w", name, handler, err)
	}
	p.id = sandbox.PodSandboxId
	if err := c.startContainer(ctx, &p, w); err != nil {
		return pod{}, errors.Join(err, c.remove(context.WithoutCancel(ctx), p))
	}
	return p, nil
}

func (c *client) startContainer(ctx context.Context, p *pod, w workload) error {
	created, err := c.runtime.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId: p.id, SandboxConfig: p.config,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "main"},
			Image:    &cri.ImageSpec{Image: images.Bench},
			Mounts:   w.mounts,
			LogPath:  "main.log",
			Linux:    &cri.LinuxContainerConfig{Resources: w.limits},
		},
	})
	if err != nil {
		return fmt.Errorf("create a container in pod %s: %w", p.id, err)
	}
	p.container = created.ContainerId
	if _, err := c.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: p.container}); err != nil {
		return fmt.Errorf("start container %s: %w", p.container, err)
	}
	return nil
}

// podConfig says of the pod what a kubelet says, the sum of its containers' limits included.
func (c *client) podConfig(name string, w workload) *cri.PodSandboxConfig {
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Namespace: "bench", Uid: name},
		Hostname:     name,
		LogDirectory: c.node.PodLogs() + "/" + name,
		Linux:        &cri.LinuxPodSandboxConfig{CgroupParent: "/" + c.node.Name(), Resources: w.limits},
	}
}

// exec runs a command in the pod's container and returns what it printed.
func (c *client) exec(ctx context.Context, p pod, command ...string) (string, error) {
	r, err := c.runtime.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: p.container, Cmd: command})
	if err != nil {
		return "", fmt.Errorf("run %q in container %s: %w", command, p.container, err)
	}
	if r.ExitCode != 0 {
		return "", fmt.Errorf("%q in container %s ended with exit code %d: %s", command, p.container, r.ExitCode, r.Stderr)
	}
	return string(r.Stdout), nil
}

// remove stops and removes the pod.
func (c *client) remove(ctx context.Context, p pod) error {
	if _, err := c.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.id}); err != nil {
		return fmt.Errorf("stop pod %s: %w", p.id, err)
	}
	if _, err := c.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.id}); err != nil {
		return fmt.Errorf("remove pod %s: %w", p.id, err)
	}
	return nil
}

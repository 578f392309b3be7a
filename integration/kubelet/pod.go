// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"errors"
	"fmt"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Pod is a running pod and its first container.
type Pod struct {
	ID, Container string

	config *cri.PodSandboxConfig
}

// Workload is the container of a pod.
type Workload struct {
	Image  string
	Args   []string // the command; empty is the image's
	Mounts []*cri.Mount
	Limits *cri.LinuxContainerResources // of the pod and its container; nil is no limit
}

// Start makes a pod with one running container. What was begun is removed when it fails.
func (c *Client) Start(ctx context.Context, handler, name string, w Workload) (Pod, error) {
	p := Pod{config: c.podConfig(name, w)}
	sandbox, err := c.runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: p.config, RuntimeHandler: handler})
	if err != nil {
		return Pod{}, fmt.Errorf("run pod %s with %s: %w", name, handler, err)
	}
	p.ID = sandbox.PodSandboxId
	if p.Container, err = c.StartContainer(ctx, p, "main", w); err != nil {
		return Pod{}, errors.Join(err, c.Remove(context.WithoutCancel(ctx), p))
	}
	return p, nil
}

// podConfig says of the pod what a kubelet says, the sum of its containers' limits included.
func (c *Client) podConfig(name string, w Workload) *cri.PodSandboxConfig {
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Namespace: c.namespace, Uid: name},
		Hostname:     name,
		LogDirectory: c.node.PodLogs() + "/" + name,
		Linux:        &cri.LinuxPodSandboxConfig{CgroupParent: "/" + c.node.Name(), Resources: w.Limits},
	}
}

// Remove stops and removes the pod.
func (c *Client) Remove(ctx context.Context, p Pod) error {
	if _, err := c.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.ID}); err != nil {
		return fmt.Errorf("stop pod %s: %w", p.ID, err)
	}
	if _, err := c.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.ID}); err != nil {
		return fmt.Errorf("remove pod %s: %w", p.ID, err)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"fmt"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// StartContainer makes and starts a further container in the pod and returns its id.
func (c *Client) StartContainer(ctx context.Context, p Pod, name string, w Workload) (string, error) {
	created, err := c.runtime.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId: p.ID, SandboxConfig: p.config,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: name},
			Image:    &cri.ImageSpec{Image: w.Image},
			Command:  w.Args,
			Mounts:   w.Mounts,
			LogPath:  name + ".log",
			Linux:    &cri.LinuxContainerConfig{Resources: w.Limits},
		},
	})
	if err != nil {
		return "", fmt.Errorf("create a container in pod %s: %w", p.ID, err)
	}
	id := created.ContainerId
	if _, err := c.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: id}); err != nil {
		return "", fmt.Errorf("start container %s: %w", id, err)
	}
	return id, nil
}

// AwaitExit returns when the container has ended, with its exit code.
func (c *Client) AwaitExit(ctx context.Context, id string) (int32, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		r, err := c.runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id})
		if err != nil {
			return 0, fmt.Errorf("ask for the state of container %s: %w", id, err)
		}
		if r.Status.State == cri.ContainerState_CONTAINER_EXITED {
			return r.Status.ExitCode, nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for the end of container %s: %w", id, ctx.Err())
		case <-time.After(wait): // CRI's events are for kubelets that subscribe to all
		}
	}
}

// RemoveContainer removes a container that has ended.
func (c *Client) RemoveContainer(ctx context.Context, id string) error {
	if _, err := c.runtime.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: id}); err != nil {
		return fmt.Errorf("remove container %s: %w", id, err)
	}
	return nil
}

// Exec runs a command in the pod's container and returns what it printed.
func (c *Client) Exec(ctx context.Context, p Pod, command ...string) (string, error) {
	r, err := c.runtime.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: p.Container, Cmd: command})
	if err != nil {
		return "", fmt.Errorf("run %q in container %s: %w", command, p.Container, err)
	}
	if r.ExitCode != 0 {
		return "", fmt.Errorf("%q in container %s ended with exit code %d: %s", command, p.Container, r.ExitCode, r.Stderr)
	}
	return string(r.Stdout), nil
}

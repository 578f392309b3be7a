// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// side is one of the two runtimes on the node, with its pod.
type side struct {
	name    string // "runc" or "kata"
	node    *node.Node
	client  *client.Client
	image   client.Image
	runtime client.NewContainerOpts
	pause   client.Task // the pod's first process

	// remapping is held, by either side, while the files of the image get other owners: containerd's client does that in
	// a snapshot of one name for both.
	remapping *sync.Mutex
}

// newSide connects to the node's containerd. The pod is not made yet.
func newSide(ctx context.Context, n *node.Node, name string, remapping *sync.Mutex) (*side, error) {
	c, err := client.New(n.Socket(), client.WithDefaultNamespace(n.Name()))
	if err != nil {
		return nil, fmt.Errorf("connect to the node's containerd: %w", err)
	}
	s := &side{name: name, node: n, client: c, remapping: remapping, runtime: client.WithRuntime("io.containerd.kata.v2", nil)}
	if name == "runc" {
		s.runtime = client.WithRuntime("io.containerd.runc.v2", &options.Options{
			BinaryName: filepath.Join(n.Bin, "runc"), Root: filepath.Join(n.Root, "runc"),
		})
	}
	if s.image, err = c.GetImage(ctx, images.Busybox); err == nil {
		err = s.image.Unpack(ctx, snapshotter)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take the test's image: %w", err), c.Close())
	}
	return s, nil
}

const snapshotter = "overlayfs"

// dir is a directory of this side for what is bound into containers.
func (s *side) dir(name string) string { return filepath.Join(s.node.Root, "diff", s.name, name) }

// create makes a container of containerd from the spec, without a task. The files of one with a user namespace
// belong to the users that it maps.
func (s *side) create(ctx context.Context, id string, spec *specs.Spec) (client.Container, error) {
	snapshot := client.WithNewSnapshot(id, s.image)
	if len(spec.Linux.UIDMappings) > 0 {
		s.remapping.Lock()
		defer s.remapping.Unlock()
		snapshot = client.WithUserNSRemappedSnapshot(id, s.image, spec.Linux.UIDMappings, spec.Linux.GIDMappings)
	}
	return s.client.NewContainer(ctx, id, client.WithImage(s.image), client.WithSnapshotter(snapshotter), snapshot,
		s.runtime, client.WithSpec(spec))
}

// close removes the pod.
func (s *side) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	var errs []error
	if s.pause != nil {
		errs = append(errs, remove(ctx, s.client, s.pause.ID()))
	}
	return errors.Join(append(errs, s.client.Close())...)
}

// remove ends what is left of a container's task, then removes the container.
func remove(ctx context.Context, c *client.Client, id string) error {
	container, err := c.LoadContainer(ctx, id)
	if err != nil {
		return fmt.Errorf("find the container %s to remove it: %w", id, err)
	}
	if task, err := container.Task(ctx, nil); err == nil {
		if _, err := task.Delete(ctx, client.WithProcessKill); err != nil {
			return fmt.Errorf("remove the task of %s: %w", id, err)
		}
	}
	if err := container.Delete(ctx, client.WithSnapshotCleanup); err != nil {
		return fmt.Errorf("remove the container %s: %w", id, err)
	}
	return nil
}

// prepare writes the files that rows bind into containers.
func (s *side) prepare() error {
	for _, d := range []string{"volume/below", "readonly/below", "etc"} {
		if err := os.MkdirAll(s.dir(d), 0o755); err != nil {
			return fmt.Errorf("make a directory to bind: %w", err)
		}
	}
	for name, text := range map[string]string{
		"etc/hosts":       "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n10.99.0.2\t" + podName + "\n",
		"etc/resolv.conf": "search pods.test\nnameserver 10.99.0.53\noptions ndots:5\n",
		"etc/hostname":    podName + "\n",
		"volume/file":     "of the host\n",
		"readonly/file":   "of the host\n",
	} {
		if err := os.WriteFile(s.dir(name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write a file to bind: %w", err)
		}
	}
	return os.Chmod(s.dir("volume"), 0o777)
}

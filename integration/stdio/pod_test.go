// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/sandbox"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
)

const snapshotter = "overlayfs"

// Annotations by which shims group containers, as containerd's CRI plugin sets them.
const (
	kindAnnotation = "io.kubernetes.cri.container-type"
	podAnnotation  = "io.kubernetes.cri.sandbox-id"
)

// pod is a pause container, which makes a VM, and what is needed to put containers beside it.
type pod struct {
	id    string
	pause *process
}

// startPod starts a pod. The record of a sandbox is what makes containerd hand members to the pod's shim without
// running the shim's binary for each, as it does for CRI.
func startPod(ctx context.Context, id string) (*pod, error) {
	p := &pod{id: id}
	name, _ := runtime()
	_, err := shared.client.SandboxStore().Create(ctx, sandbox.Sandbox{ID: id, Runtime: sandbox.RuntimeOpts{Name: name}, Sandboxer: "podsandbox"})
	if err != nil {
		return nil, fmt.Errorf("record the sandbox of a pod: %w", err)
	}
	p.pause, err = p.container(ctx, id, "sandbox", request{args: []string{"probe", "pause"}})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the pod: %w", err), p.stop(ctx))
	}
	if err := p.pause.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start the pod: %w", err), p.stop(ctx))
	}
	return p, nil
}

// stop ends the pod and removes its records.
func (p *pod) stop(ctx context.Context) error {
	var errs []error
	if p.pause != nil {
		if err := p.pause.Kill(ctx, syscall.SIGKILL); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, err)
		}
		errs = append(errs, p.pause.end(ctx))
	}
	return errors.Join(append(errs, shared.client.SandboxStore().Delete(ctx, p.id))...)
}

// create makes a container of the pod; its process waits for start.
func (p *pod) create(ctx context.Context, id string, r request) (*process, error) {
	return p.container(ctx, id, "container", r)
}

// run is create and start.
func (p *pod) run(ctx context.Context, id string, r request) (*process, error) {
	c, err := p.create(ctx, id, r)
	if err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.end(ctx))
	}
	return c, nil
}

func (p *pod) container(ctx context.Context, id, kind string, r request) (_ *process, err error) {
	spec := []oci.SpecOpts{
		oci.WithDefaultSpec(), oci.WithDefaultPathEnv, oci.WithProcessArgs(r.args...),
		oci.WithAnnotations(map[string]string{kindAnnotation: kind, podAnnotation: p.id}),
	}
	if r.terminal {
		spec = append(spec, oci.WithTTY)
	}
	name, options := runtime()
	creating := []client.NewContainerOpts{
		client.WithSnapshotter(snapshotter), client.WithNewSnapshot(id, shared.image),
		client.WithNewSpec(spec...), client.WithRuntime(name, options),
	}
	if kind == "container" {
		creating = append(creating, client.WithSandbox(p.id))
	}
	record, err := shared.client.NewContainer(ctx, id, creating...)
	if err != nil {
		return nil, fmt.Errorf("record container %s: %w", id, err)
	}
	c := &process{forget: func(ctx context.Context) error { return record.Delete(ctx, client.WithSnapshotCleanup) }}
	if c.pipes, err = newPipes(r); err != nil {
		return nil, errors.Join(err, c.end(ctx))
	}
	c.task, err = record.NewTask(ctx, c.pipes.creator)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create container %s: %w", id, err), c.end(ctx))
	}
	c.Process = c.task
	return c, c.await(ctx)
}

// runtime is the runtime under test and its options.
func runtime() (name string, options any) {
	if shared.runtime == "runc" {
		return "io.containerd.runc.v2", &runcoptions.Options{BinaryName: filepath.Join(shared.Bin, "runc"), Root: shared.Root + "/runc"}
	}
	return "io.containerd.kata.v2", nil
}

// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/storage"
	"github.com/katapod/katapod/shim/bootstrap"
	"github.com/katapod/katapod/shim/pod"
	"github.com/katapod/katapod/shim/podkind"
	"github.com/katapod/katapod/shim/stdio"
)

// Create makes a container. The one that stands for a pod, and one without a
// pod, make and start the VM first.
func (s *Service) Create(ctx context.Context, r *taskapi.CreateTaskRequest) (*taskapi.CreateTaskResponse, error) {
	resp, err := s.createTask(ctx, r)
	if errdefs.IsNotImplemented(err) {
		// containerd takes that of this call for a shim with an older Task API,
		// asks once more in that one, and tells the user the second error.
		err = fmt.Errorf("%v: %w", err, errdefs.ErrFailedPrecondition)
	}
	return resp, err
}

func (s *Service) createTask(ctx context.Context, r *taskapi.CreateTaskRequest) (*taskapi.CreateTaskResponse, error) {
	if r.Checkpoint != "" {
		return nil, fmt.Errorf("create container %s from a checkpoint: checkpoints are not implemented by this runtime: %w", r.ID, errdefs.ErrNotImplemented)
	}
	if err := s.reserve(r.ID); err != nil {
		return nil, err
	}
	ctx = log.WithLogger(ctx, log.G(ctx).WithField("container", r.ID))
	c, err := s.create(ctx, r)
	if err != nil {
		s.settle(r.ID, nil)
		logFailure(ctx, err)
		s.leaveIfAbandoned(ctx)
		return nil, err
	}
	p := c.init()
	s.Events.Publish(&events.TaskCreate{
		ContainerID: c.id, Bundle: c.bundle, Rootfs: r.Rootfs, Pid: p.now().pid,
		IO: &events.TaskIO{Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr, Terminal: r.Terminal},
	})
	s.settle(r.ID, c)
	// It is the process's, and ends with it, or with the pod.
	go s.watch(context.WithoutCancel(ctx), c, p)
	return &taskapi.CreateTaskResponse{Pid: p.now().pid}, nil
}

// logFailure logs why a container was not created, with the last words of the
// guest when its pod did not come up.
func logFailure(ctx context.Context, err error) {
	entry := log.G(ctx).WithError(err)
	var failure *sandbox.Failure
	if errors.As(err, &failure) {
		entry = entry.WithField("console", failure.Console).WithField("vmm", failure.VMMLog)
	}
	entry.Error("the container was not created")
}

func (s *Service) create(ctx context.Context, r *taskapi.CreateTaskRequest) (*container, error) {
	spec, err := readSpec(r.Bundle)
	if err != nil {
		return nil, err
	}
	kind, podID, err := podkind.Of(r.ID, spec.Annotations)
	if err != nil {
		return nil, err
	}
	if id := s.foreignPod(); kind == podkind.Lone && id != "" {
		kind, podID = podkind.Member, id // its client said so to containerd, which tells the shim nothing
	}
	vm, err := s.podOf(ctx, r, kind, podID, spec)
	if err != nil {
		return nil, err
	}
	c, err := s.addContainer(ctx, vm, kind, spec, r)
	if err != nil && kind != podkind.Member {
		// The pod was made for this container alone.
		s.endPod(ctx)
	}
	return c, err
}

// podOf returns the pod of a member, and begins that of any other container.
func (s *Service) podOf(ctx context.Context, r *taskapi.CreateTaskRequest, kind podkind.Kind, podID string, spec *specs.Spec) (pod.Sandbox, error) {
	if kind == podkind.Member {
		if have := s.Pod.ID(); have != "" && have != podID {
			return nil, fmt.Errorf("container %s belongs to pod %s, but this shim serves pod %s: %w", r.ID, podID, have, errdefs.ErrFailedPrecondition)
		}
		return s.Pod.Sandbox()
	}
	option, err := bootstrap.ConfigPath(r.Options)
	if err != nil {
		return nil, err
	}
	if option == "" {
		option = s.ConfigPath
	}
	c, err := s.Configure(ctx, spec.Annotations, option)
	if err != nil {
		return nil, pod.Refused(r.ID, s.Namespace, r.Bundle, err)
	}
	options, err := pod.Origin{ID: r.ID, Namespace: s.Namespace, Bundle: r.Bundle, Kind: kind, Spec: spec, Rootfs: mounts(r.Rootfs)}.Options(c)
	if err != nil {
		return nil, pod.Refused(r.ID, s.Namespace, r.Bundle, err)
	}
	before := s.claimPod(true)
	vm, err := s.Pod.Begin(ctx, options)
	if err != nil {
		s.claimPod(before)
		return nil, err
	}
	return vm, nil
}

// claimPod says whether the pod is of this service's making, and returns what was
// said before.
func (s *Service) claimPod(ours bool) (before bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.began = s.began, ours
	return before
}

// addContainer makes the container in a pod that runs. The engine's streams are
// opened first, so that a bad name costs nothing.
func (s *Service) addContainer(ctx context.Context, vm pod.Sandbox, kind podkind.Kind, spec *specs.Spec, r *taskapi.CreateTaskRequest) (*container, error) {
	paths := stdio.Paths{Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr, Terminal: r.Terminal}
	p := newProcess(r.ID, "", paths, uint32(vm.PID()))
	var err error
	if p.streams, err = stdio.Open(ctx, paths, s.Namespace, r.ID); err != nil {
		return nil, err
	}
	c := newContainer(r.ID, r.Bundle, kind, p)
	if kind == podkind.Sandbox {
		c.guest, err = vm.CreatePause(r.ID, r.Bundle)
	} else {
		s.Pod.Complete(spec)
		c.guest, err = vm.CreateContainer(ctx, sandbox.ContainerOptions{
			ID: r.ID, Bundle: r.Bundle, Spec: spec, Rootfs: mounts(r.Rootfs), Terminal: r.Terminal,
			Stdin: paths.HasStdin(), Stdout: paths.HasStdout(), Stderr: paths.HasStderr(),
		})
	}
	if err != nil {
		return nil, errors.Join(err, p.streams.Close())
	}
	p.guest = c.guest.Init()
	p.attach()
	return c, nil
}

func readSpec(bundle string) (*specs.Spec, error) {
	path := filepath.Join(bundle, "config.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the OCI spec: %w: %w", err, errdefs.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read the OCI spec: %w: %w", err, errdefs.ErrInvalidArgument)
	}
	var spec specs.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		return nil, fmt.Errorf("the OCI spec %s is not valid: %w: %w", path, errdefs.ErrInvalidArgument, err)
	}
	return &spec, nil
}

func mounts(list []*types.Mount) []storage.Mount {
	out := make([]storage.Mount, 0, len(list))
	for _, m := range list {
		out = append(out, storage.Mount{Type: m.Type, Source: m.Source, Destination: m.Target, Options: m.Options})
	}
	return out
}

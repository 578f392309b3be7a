// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/sizing"
	"github.com/katapod/katapod/sandbox/spec"
	"github.com/katapod/katapod/sandbox/storage"
)

// ContainerOptions describe a container; the caller does not change what they
// point to any more.
type ContainerOptions struct {
	// ID is unique in the pod; Bundle is the OCI bundle on the host.
	ID, Bundle string
	// Spec is the container's, in the host's form.
	Spec *specs.Spec
	// Rootfs is what the engine wants mounted as the root file system; when it
	// is empty, the root is at the spec's root.path already: Docker with a graph
	// driver mounts it itself, anywhere.
	Rootfs []storage.Mount
	// Terminal gives init a terminal, whose output is Stdout.
	Terminal bool
	// Stdin, Stdout and Stderr say which streams somebody wants.
	Stdin, Stdout, Stderr bool
}

// root is the directory that is the root file system when nothing is to be
// mounted: the spec's, which is relative to the bundle, or the bundle's "rootfs".
func (o ContainerOptions) root() string {
	path := "rootfs"
	if o.Spec.Root != nil && o.Spec.Root.Path != "" {
		path = o.Spec.Root.Path
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(o.Bundle, path)
}

// CreateContainer makes a container, whose init waits for [Container.Start].
// When it fails, nothing of the container is left. A pod that does not run is
// errdefs.ErrFailedPrecondition, an id that is taken errdefs.ErrAlreadyExists,
// something that cannot be honoured errdefs.ErrNotImplemented.
func (s *Sandbox) CreateContainer(ctx context.Context, o ContainerOptions) (*Container, error) {
	if o.Spec == nil || o.Spec.Process == nil {
		return nil, fmt.Errorf("create container %s: its spec has no process: %w", o.ID, errdefs.ErrInvalidArgument)
	}
	c := newContainer(s, o.ID, o.Bundle)
	c.hooked = hooksOf(o)
	c.resolvConf, c.lastMessage = resolvConfOf(o.Spec), lastMessageOf(o.Spec)
	c.allowed = sizing.FromSpec(o.Spec)
	c.init.launch = c.launchInit
	c.init.terminal = o.Terminal
	c.init.wanted = wantedStreams{stdin: o.Stdin, stdout: o.Stdout, stderr: o.Stderr && !o.Terminal}
	if err := s.leaving.wait(ctx, o.ID); err != nil {
		return nil, fmt.Errorf("create container %s: %w", o.ID, err)
	}
	if err := s.enroll(c); err != nil {
		return nil, err
	}
	bounded, cancel := s.life.during(ctx, s.createTimeout())
	defer cancel()
	if err := c.create(bounded, o); err != nil {
		err = errors.Join(err, c.abandon(ctx))
		return nil, s.life.explainIfOver("create container "+o.ID, err)
	}
	return c, nil
}

// createTimeout bounds the creation of one container.
func (s *Sandbox) createTimeout() time.Duration {
	if t := s.options.Config.Runtime.CreateContainerTimeout.Duration(); t > 0 {
		return t
	}
	return timeouts.Create
}

// abandon takes back a creation that failed.
func (c *Container) abandon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.UndoCreate)
	defer cancel()
	err := errors.Join(c.removeFromGuest(ctx), c.release(ctx))
	c.init.exit(exitKilled)
	c.sandbox.forget(c)
	return err
}

// create places the container's files, and has the guest make it.
func (c *Container) create(ctx context.Context, o ContainerOptions) error {
	s := c.sandbox
	caps := s.capabilities()
	root, err := storage.PlanRootfs(c.id, o.Rootfs, o.root(), caps)
	if err != nil {
		return err
	}
	plan, err := c.planMounts(o.Spec, caps)
	if err != nil {
		return err
	}
	sharedPID := c.choosePID(o.Spec)
	env := spec.Env{
		ContainerID: c.id, RootPath: root.GuestPath, SharedPIDNS: sharedPID,
		Mounts: plan.Mounts, Devices: plan.Devices, VCPUs: s.size().VCPUs,
		DisableSeccomp: s.options.Config.Runtime.DisableGuestSeccomp,
		DisableSELinux: s.options.Config.Hypervisor.DisableGuestSELinux,
	}
	req := &agentpb.CreateContainerRequest{ContainerId: c.id, ExecId: c.id, SandboxPidns: sharedPID}
	if err := c.setSpec(req, o, env); err != nil {
		return err
	}
	if err := s.needMemory(ctx); err != nil {
		return err
	}
	share, err := c.needShare(ctx, root, plan)
	if err != nil {
		return err
	}
	storages, err := c.placeRoot(ctx, root)
	if err != nil {
		return err
	}
	more, devices, err := c.placeMounts(ctx, plan)
	if err != nil {
		return err
	}
	if err := c.runCreateHooks(ctx); err != nil {
		return err
	}
	req.Devices, req.Storages = devices, slices.Concat(share, storages, more)
	return c.createInGuest(ctx, req)
}

// needShare sees to the pod's share, if files of the container are on it, and returns
// how the agent mounts it.
func (c *Container) needShare(ctx context.Context, root storage.Root, plan storage.Plan) ([]*agentpb.Storage, error) {
	if len(root.HostMounts) == 0 && len(plan.Shares) == 0 {
		return nil, nil
	}
	if err := c.sandbox.needShare(ctx); err != nil {
		return nil, err
	}
	return []*agentpb.Storage{guestShare()}, nil
}

// setSpec puts the guest's form of the spec into the request, and says in the log
// what of it was dropped.
func (c *Container) setSpec(req *agentpb.CreateContainerRequest, o ContainerOptions, env spec.Env) error {
	guest, err := spec.ToGuest(o.Spec, env)
	if err != nil {
		return err
	}
	for _, note := range spec.Notes(o.Spec, env) {
		c.log().Info(note)
	}
	guest.Process.Terminal = o.Terminal
	if err := c.sandbox.guest().setSpec(req, guest); err != nil {
		return fmt.Errorf("OCI spec of container %s: %w", c.id, err)
	}
	return nil
}

// planMounts plans the mounts and the block devices of a spec. The devices that a
// privileged container lists are all of the host's, and it gets none of them.
func (c *Container) planMounts(in *specs.Spec, caps storage.Capabilities) (storage.Plan, error) {
	facts := c.sandbox.drivers.Facts
	plan, err := storage.PlanMounts(c.id, specMounts(in), facts, caps)
	if err != nil || in.Linux == nil || spec.IsPrivileged(in) {
		return plan, err
	}
	var rules []specs.LinuxDeviceCgroup
	if in.Linux.Resources != nil {
		rules = in.Linux.Resources.Devices
	}
	return plan.WithDevices(in.Linux.Devices, rules, facts, caps)
}

// createInGuest asks the agent and connects the streams of init meanwhile.
func (c *Container) createInGuest(ctx context.Context, req *agentpb.CreateContainerRequest) error {
	c.mu.Lock()
	c.inGuest = true // or may be, when the call fails half-way
	c.mu.Unlock()
	return c.init.withStreams(ctx, func(ctx context.Context, t streamTokens) error {
		req.StdinPort, req.StdoutPort, req.StderrPort = uint32(t.stdin), uint32(t.stdout), uint32(t.stderr)
		agent := c.sandbox.guest()
		_, err := ask(ctx, agent, "create container "+c.id+" in the guest", c.sandbox.createTimeout(), agent.service.CreateContainer, req)
		return err
	})
}

// specMounts translates the spec's mounts for the planner.
func specMounts(in *specs.Spec) []storage.Mount {
	var mounts []storage.Mount
	for _, m := range in.Mounts {
		mounts = append(mounts, storage.FromSpec(m, in.Linux))
	}
	return mounts
}

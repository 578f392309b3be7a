// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/katapod/katapod/agent/cgroup"
	"github.com/katapod/katapod/agent/container"
	"github.com/katapod/katapod/agent/ocispec"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/stdio"
)

// CreateContainer makes a container; its program waits for StartContainer.
func (s *Service) CreateContainer(ctx context.Context, r *agentpb.CreateContainerRequest) (*emptypb.Empty, error) {
	if err := checkID(r.ContainerId); err != nil {
		return nil, err
	}
	if len(r.SharedMounts) > 0 {
		return nil, fmt.Errorf("mounts shared between containers: %w", errdefs.ErrNotImplemented)
	}
	p, err := s.currentPod()
	if err != nil {
		return nil, err
	}
	if err := s.containers.Reserve(r.ContainerId); err != nil {
		return nil, err
	}
	c, err := s.makeContainer(ctx, p, r)
	if err != nil {
		s.containers.Drop(r.ContainerId)
		return nil, err
	}
	s.containers.Put(c)
	return &emptypb.Empty{}, nil
}

// checkID refuses names that are no file name of their own in the run directory.
func checkID(id string) error {
	if !isName(id) || slices.Contains([]string{"shared", "sandbox", "image"}, id) {
		return fmt.Errorf("%q cannot be the name of a container: %w", id, errdefs.ErrInvalidArgument)
	}
	return nil
}

// isName tells whether id is a letter or digit, followed by up to 254 of these and
// of "_.+-". By hand: compiling a regular expression is a tenth of what the agent
// does for a container the first time.
func isName(id string) bool {
	if id == "" || len(id) > 255 || strings.IndexByte("_.+-", id[0]) >= 0 {
		return false
	}
	for _, b := range []byte(id) {
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9') && strings.IndexByte("_.+-", b) < 0 {
			return false
		}
	}
	return true
}

// makeContainer does the work of CreateContainer in order; on error it gives
// back what it took.
func (s *Service) makeContainer(ctx context.Context, p *pod, r *agentpb.CreateContainerRequest) (_ *container.Container, err error) {
	spec, err := ocispec.Container(r.OCI, r.OciJson)
	if err != nil {
		return nil, err
	}
	if err := setUser(spec.Process, r.StringUser); err != nil {
		return nil, err
	}
	bundle := filepath.Join(s.Paths.Run, r.ContainerId)
	release, err := s.Storage.Add(ctx, bundle, r.Storages)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, release(), os.RemoveAll(bundle))
		}
	}()
	if release, err = s.holdShared(r.ContainerId, spec, release); err != nil {
		return nil, err
	}
	if err := s.applyDevices(ctx, spec, r.Devices); err != nil {
		return nil, err
	}
	shared := p.sharedPID || r.SandboxPidns
	if err := s.fit(ctx, p, r.ContainerId, spec, shared); err != nil {
		return nil, err
	}
	ocispec.GiveHome(spec, spec.Process)
	if err := writeBundle(bundle, spec); err != nil {
		return nil, err
	}
	c := container.New(container.Config{
		ID: r.ContainerId, Bundle: bundle, Spec: spec, Cgroup: s.cgroupOf(r.ContainerId),
		Tokens: tokens(r), PipeSize: s.Parameters.ContainerPipeSize, SharedPID: shared,
		AtExit: func() { s.OOM.Flush(r.ContainerId) }, Release: release,
	}, s.Runtime, s.Streams)
	if err := c.Create(ctx); err != nil {
		return nil, errors.Join(err, c.Remove(context.WithoutCancel(ctx)))
	}
	if err := s.OOM.Watch(c.ID(), c.Cgroup()); err != nil {
		return nil, errors.Join(err, c.Remove(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// fit gives the specification what the guest has.
func (s *Service) fit(ctx context.Context, p *pod, id string, spec *specs.Spec, sharedPID bool) error {
	ns, err := s.namespacesFor(ctx, p, spec)
	if err != nil {
		return err
	}
	g := ocispec.Guest{
		User: ns.User, Net: ns.Net, IPC: ns.IPC, UTS: ns.UTS, Hostname: p.hostname,
		CgroupsPath: filepath.Join(s.Paths.CgroupParent, id),
		AppArmor:    hasLSM("apparmor"), SELinux: hasLSM("selinux"), Hooks: p.hooks,
	}
	if sharedPID {
		if g.PID, err = p.pidNamespace(ns, s.Reaper); err != nil {
			return err
		}
	}
	sysctls, err := g.Apply(spec)
	if err != nil {
		return err
	}
	return ns.Set(sysctls)
}

func (s *Service) cgroupOf(id string) cgroup.Dir {
	return cgroup.Dir(filepath.Join(s.Paths.Cgroups, s.Paths.CgroupParent, id))
}

func writeBundle(bundle string, spec *specs.Spec) error {
	if err := os.MkdirAll(bundle, 0o700); err != nil {
		return fmt.Errorf("make the bundle: %w", err)
	}
	data, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("encode the bundle's configuration: %w", err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), data, 0o600); err != nil {
		return fmt.Errorf("write the bundle's configuration: %w", err)
	}
	return nil
}

// portHolder is a request that names streams.
type portHolder interface {
	GetStdinPort() uint32
	GetStdoutPort() uint32
	GetStderrPort() uint32
}

func tokens(r portHolder) container.Tokens {
	return container.Tokens{
		Stdin:  stdio.Token(r.GetStdinPort()),
		Stdout: stdio.Token(r.GetStdoutPort()),
		Stderr: stdio.Token(r.GetStderrPort()),
	}
}

// setUser applies the user that a request gives apart from the specification,
// by numbers.
func setUser(p *specs.Process, u *agentpb.StringUser) error {
	if u.GetUid() == "" {
		return nil
	}
	ids := append([]string{u.Uid, u.Gid}, u.AdditionalGids...)
	numbers := make([]uint32, 0, len(ids))
	for i, text := range ids {
		if i == 1 && text == "" {
			text = "0"
		}
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return fmt.Errorf("the user or group %q of string_user is a name, only numbers can be used: %w", text, errdefs.ErrNotImplemented)
		}
		numbers = append(numbers, uint32(n))
	}
	p.User.UID, p.User.GID, p.User.AdditionalGids = numbers[0], numbers[1], numbers[2:]
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/katapod/katapod/agent/sandboxns"
	"github.com/katapod/katapod/protocols/agentpb"
)

// pod is what CreateSandbox made.
type pod struct {
	hostname   string
	sharedPID  bool
	hooks      specs.Hooks
	namespaces *sandboxns.Namespaces

	// mu guards the PID namespace and the user namespace, which are made with
	// the first container that wants them.
	mu   sync.Mutex
	user userNamespace
}

func (s *Service) currentPod() (*pod, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pod == nil {
		return nil, fmt.Errorf("there is no pod yet, CreateSandbox makes it: %w", errdefs.ErrFailedPrecondition)
	}
	return s.pod, nil
}

// CreateSandbox sets up what the pod's containers share.
func (s *Service) CreateSandbox(ctx context.Context, r *agentpb.CreateSandboxRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pod != nil {
		return nil, fmt.Errorf("the guest has a pod: %w", errdefs.ErrAlreadyExists)
	}
	if err := s.loadModules(ctx, r.KernelModules); err != nil {
		return nil, err
	}
	p, err := s.makePod(ctx, r)
	if err != nil {
		return nil, err
	}
	s.pod = p
	if s.AfterPod != nil {
		// It belongs to who gave it, and ends by itself.
		go s.AfterPod()
	}
	return &emptypb.Empty{}, nil
}

func (s *Service) makePod(ctx context.Context, r *agentpb.CreateSandboxRequest) (_ *pod, err error) {
	if err := os.MkdirAll(s.Paths.Run, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the pod: %w", err)
	}
	if s.Init && r.Hostname != "" {
		if err := unix.Sethostname([]byte(r.Hostname)); err != nil {
			return nil, fmt.Errorf("set the guest's host name: %w", err)
		}
	}
	p := &pod{hostname: r.Hostname, sharedPID: r.SandboxPidns}
	if p.namespaces, err = sandboxns.New(sandboxns.Config{Dir: s.Paths.Namespaces, Hostname: r.Hostname}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Storage.Close(), p.namespaces.Close())
		}
	}()
	if p.sharedPID {
		if err := p.namespaces.StartPID(s.Reaper); err != nil {
			return nil, err
		}
	}
	if _, err := s.Storage.Add(ctx, "", r.Storages); err != nil {
		return nil, err
	}
	if p.hooks, err = guestHooks(r.GuestHookPath); err != nil {
		return nil, err
	}
	return p, s.setResolver(r.Dns)
}

// setResolver writes the pod's resolver configuration, to which the guest's
// /etc/resolv.conf leads.
func (s *Service) setResolver(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	text := strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(s.Paths.ResolvConf, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the guest's resolver configuration: %w", err)
	}
	return nil
}

// DestroySandbox removes every container and what CreateSandbox made, and
// writes the disks, because the host ends the VM next. A guest without a pod
// has nothing to do.
func (s *Service) DestroySandbox(ctx context.Context, _ *agentpb.DestroySandboxRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, c := range s.containers.All() {
		if err := s.remove(ctx, c); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, s.Storage.Close())
	if s.pod != nil {
		errs = append(errs, s.pod.close())
		s.pod = nil
	}
	unix.Sync()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// guestHooks finds the executables below dir that are to run with every
// container: prestart, poststart and poststop, each in the order of their names.
func guestHooks(dir string) (specs.Hooks, error) {
	var h specs.Hooks
	if dir == "" {
		return h, nil
	}
	for name, list := range map[string]*[]specs.Hook{
		//lint:ignore SA1019 the contract names the directory so
		"prestart":  &h.Prestart,
		"poststart": &h.Poststart,
		"poststop":  &h.Poststop,
	} {
		entries, err := os.ReadDir(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return h, fmt.Errorf("list the guest's hooks: %w", err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				path := filepath.Join(dir, name, e.Name())
				*list = append(*list, specs.Hook{Path: path, Args: []string{path, name}})
			}
		}
	}
	return h, nil
}

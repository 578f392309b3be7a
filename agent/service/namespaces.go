// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/agent/reaper"
	"github.com/katapod/katapod/agent/sandboxns"
)

// userNamespace is that of a pod whose containers have one (hostUsers: false),
// with the other namespaces that belong to it.
type userNamespace struct {
	*sandboxns.Namespaces
	uids, gids []specs.LinuxIDMapping
}

// namespacesFor returns the namespaces that a container shares with the pod:
// those of the pod's user namespace when its spec asks for one. All containers
// of a pod that do have the same ids, as CRI demands. The pod's network moves to
// the user namespace with the first of them.
func (s *Service) namespacesFor(ctx context.Context, p *pod, spec *specs.Spec) (*sandboxns.Namespaces, error) {
	mapped := slices.ContainsFunc(spec.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.UserNamespace })
	if !mapped {
		return p.namespaces, nil
	}
	uids, gids := spec.Linux.UIDMappings, spec.Linux.GIDMappings
	if len(uids) == 0 || len(gids) == 0 {
		return nil, fmt.Errorf("a user namespace without linux.uidMappings and linux.gidMappings: %w", errdefs.ErrInvalidArgument)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.user.Namespaces == nil {
		ns, err := sandboxns.NewMapped(p.hostname, uids, gids, s.Reaper)
		if err != nil {
			return nil, err
		}
		if err := s.Network.Enter(ctx, ns.Net); err != nil {
			return nil, errors.Join(err, ns.Close())
		}
		p.user = userNamespace{Namespaces: ns, uids: uids, gids: gids}
	}
	if !slices.Equal(uids, p.user.uids) || !slices.Equal(gids, p.user.gids) {
		return nil, fmt.Errorf("the pod's user namespace has the ids %v and %v, this container asks for %v and %v; use those of the pod: %w",
			p.user.uids, p.user.gids, uids, gids, errdefs.ErrFailedPrecondition)
	}
	return p.user.Namespaces, nil
}

// pidNamespace returns the path of the PID namespace among those of the pod.
func (p *pod) pidNamespace(ns *sandboxns.Namespaces, r *reaper.Reaper) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ns.StartPID(r); err != nil {
		return "", err
	}
	return ns.PID, nil
}

func (p *pod) close() error {
	err := p.namespaces.Close()
	if p.user.Namespaces != nil {
		err = errors.Join(err, p.user.Close())
	}
	return err
}

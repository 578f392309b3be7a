// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"fmt"
	"maps"
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
// of a pod that do have the same ids, as CRI demands.
func (p *pod) namespacesFor(spec *specs.Spec, r *reaper.Reaper) (*sandboxns.Namespaces, error) {
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
		ns, err := sandboxns.NewMapped(p.hostname, uids, gids, r)
		if err != nil {
			return nil, err
		}
		p.user = userNamespace{Namespaces: ns, uids: uids, gids: gids}
	}
	if !slices.Equal(uids, p.user.uids) || !slices.Equal(gids, p.user.gids) {
		return nil, fmt.Errorf("the pod's user namespace has the ids %v and %v, this container asks for %v and %v; use those of the pod: %w",
			p.user.uids, p.user.gids, uids, gids, errdefs.ErrFailedPrecondition)
	}
	return p.user.Namespaces, nil
}

// withOpenNetwork adds what root of a user namespace may do in a network that
// belongs to it: ports below 1024, and ping. The guest's network, which is the
// pod's, belongs to the guest's own user namespace.
func withOpenNetwork(sysctls map[string]string) map[string]string {
	all := map[string]string{"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
	maps.Copy(all, sysctls)
	return all
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

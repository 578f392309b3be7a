// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"path"
	"slices"

	"github.com/katapod/katapod/protocols/agentpb"
)

// isMemoryVolume tells the emptyDir of medium Memory: kubelet mounts a tmpfs at
// .../volumes/kubernetes.io~empty-dir/<name>.
func isMemoryVolume(source string, fact Fact) bool {
	return fact.Tmpfs && path.Base(path.Dir(path.Clean(source))) == "kubernetes.io~empty-dir"
}

// addMemoryVolume makes a tmpfs in the guest; containers of the pod that mount
// the same volume share it, since its place depends on the volume alone.
func (p *planner) addMemoryVolume(m Mount, fact Fact) {
	place := path.Join(ephemeralDir, path.Base(path.Clean(m.Source)))
	options := []string{"mode=0777"}
	if fact.TmpfsSize > 0 {
		options = append(options, fmt.Sprintf("size=%d", fact.TmpfsSize))
	}
	p.guest(m, "bind", place, m.Options)
	if slices.ContainsFunc(p.plan.Storages, func(s *agentpb.Storage) bool { return s.MountPoint == place }) {
		return
	}
	p.plan.Storages = append(p.plan.Storages, &agentpb.Storage{
		Driver: "ephemeral", Source: "tmpfs", Fstype: "tmpfs", Options: options, MountPoint: place, Shared: true,
	})
}

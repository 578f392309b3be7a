// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// IDMap is how the owners of a mount's files are shifted: ContainerID is an id
// on the file system, HostID the one that it has in the mount. The zero value
// shifts nothing.
type IDMap struct {
	UIDs, GIDs []specs.LinuxIDMapping
	// Recursive is for mounts below as well.
	Recursive bool
}

// IsZero tells whether nothing is shifted.
func (m IDMap) IsZero() bool { return len(m.UIDs) == 0 && len(m.GIDs) == 0 }

// String writes the map as "0:65536:65536/0:65536:65536", users first.
func (m IDMap) String() string { return Mappings(m.UIDs) + "/" + Mappings(m.GIDs) }

// Mappings writes a list as "0:65536:1000,5000:70000:1": container, host, size.
func Mappings(list []specs.LinuxIDMapping) string {
	var words []string
	for _, m := range list {
		words = append(words, fmt.Sprintf("%d:%d:%d", m.ContainerID, m.HostID, m.Size))
	}
	return strings.Join(words, ",")
}

// FromSpec translates a mount of a spec. Its ids are mapped when it says so
// itself, or when its options do, which then means the container's own map.
func FromSpec(m specs.Mount, container *specs.Linux) Mount {
	out := Mount{Type: m.Type, Source: m.Source, Destination: m.Destination, Options: m.Options}
	out.IDMap = IDMap{UIDs: m.UIDMappings, GIDs: m.GIDMappings, Recursive: hasOption(m.Options, "ridmap")}
	if out.IDMap.Recursive || hasOption(m.Options, "idmap") {
		if out.IDMap.IsZero() && container != nil {
			out.IDMap.UIDs, out.IDMap.GIDs = container.UIDMappings, container.GIDMappings
		}
		out.Options = slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return o == "idmap" || o == "ridmap" })
	}
	return out
}

// checkIDMap refuses what the kernel or the specification does not know.
func checkIDMap(m Mount) error {
	switch {
	case m.IDMap.IsZero():
		return nil
	case !isBind(m):
		return fmt.Errorf("mount %s of type %q: ids can be mapped for bind mounts only: %w", m.Destination, m.Type, errdefs.ErrInvalidArgument)
	case len(m.IDMap.UIDs) == 0 || len(m.IDMap.GIDs) == 0:
		return fmt.Errorf("mount %s: ids of users or of groups are mapped, not both; give uidMappings and gidMappings: %w", m.Destination, errdefs.ErrInvalidArgument)
	}
	return nil
}

// overflowID is what an id without a mapping becomes, see
// /proc/sys/kernel/overflowuid in proc(5).
const overflowID = 65534

// Owner returns the ids that a file of the given ones has in the mount.
func (m IDMap) Owner(uid, gid uint32) (uint32, uint32) {
	if m.IsZero() {
		return uid, gid
	}
	return shift(m.UIDs, uid), shift(m.GIDs, gid)
}

func shift(list []specs.LinuxIDMapping, id uint32) uint32 {
	for _, m := range list {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return m.HostID + (id - m.ContainerID)
		}
	}
	return overflowID
}

// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
)

// guestNodes are device nodes that every guest has; a bind of one means the
// guest's own.
var guestNodes = [...]string{
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/fuse", "/dev/net/tun",
}

// addDev places binds that concern /dev and tells whether it did.
func (p *planner) addDev(m Mount) (bool, error) {
	source := path.Clean(m.Source)
	switch {
	case m.Destination == "/dev/shm" && p.isPodShm(source):
		p.guest(m, "bind", ShmPath, bindOptions(hasOption(m.Options, "ro")))
		return true, nil
	case slices.Contains(guestNodes[:], source):
		m.IDMap = IDMap{} // these are for everybody
		p.guest(m, "bind", source, m.Options)
		return true, nil
	case source == "/dev":
		return true, fmt.Errorf("the host's /dev cannot reach into a VM; name the devices that are meant: %w", errdefs.ErrNotImplemented)
	}
	return false, nil
}

// isPodShm tells the pod's shared memory: the host's /dev/shm, the directory
// that containerd's CRI plugin names for a sandbox (which it does not make when
// the shim is the sandbox's controller), or a tmpfs of an engine. A memory-backed
// volume at /dev/shm is a volume.
func (p *planner) isPodShm(source string) bool {
	if source == "/dev/shm" || path.Base(source) == "shm" && path.Base(path.Dir(path.Dir(source))) == "sandboxes" {
		return true
	}
	fact, err := p.facts.Stat(source)
	return err == nil && fact.Kind == Directory && fact.Tmpfs && !isMemoryVolume(source, fact)
}

// procFiles may be mounted over in /proc, as runc allows; anything else there
// would let a container fool the runtime (CVE-2019-16884).
var procFiles = [...]string{
	"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime",
	"/proc/loadavg", "/proc/slabinfo", "/proc/net/dev", "/proc/sys/kernel/ns_last_pid",
}

// checkDestination refuses mounts over the kernel's own directories. The
// destination is clean.
func checkDestination(m Mount) error {
	destination := m.Destination
	for _, top := range []struct{ dir, kind string }{{"/proc", "proc"}, {"/sys", "sysfs"}} {
		inside := strings.HasPrefix(destination, top.dir+"/")
		switch {
		case destination == top.dir && (m.Type != top.kind || isBind(m)) && !(top.dir == "/sys" && isBind(m)):
			return fmt.Errorf("mount %s of type %q: only %s may be mounted there: %w", m.Destination, m.Type, top.kind, errdefs.ErrInvalidArgument)
		case inside && top.dir == "/proc" && (m.Type != "proc" || isBind(m)) && !slices.Contains(procFiles[:], destination):
			return fmt.Errorf("mount %s: in /proc only %s may be mounted over: %w", m.Destination, strings.Join(procFiles[:], ", "), errdefs.ErrInvalidArgument)
		}
	}
	return nil
}

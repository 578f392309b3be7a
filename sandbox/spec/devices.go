// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"io/fs"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/sandbox/storage"
)

// guestNodes are character devices whose numbers Linux fixes, so that the guest's
// are the host's (Documentation/admin-guide/devices.txt). A container may have
// them under any name.
var guestNodes = map[string]struct{ major, minor int64 }{
	"null": {1, 3}, "zero": {1, 5}, "full": {1, 7}, "random": {1, 8}, "urandom": {1, 9},
	"tty": {5, 0}, "console": {5, 1}, "ptmx": {5, 2}, "fuse": {10, 229}, "net/tun": {10, 200},
}

// devices keeps the nodes that every guest has and adds the storage plan's block
// devices, with the host's numbers: the agent puts the guest's in, by path. Other
// devices of the host do not exist in the guest.
func devices(in, out *specs.Spec, e Env) error {
	for _, d := range in.Linux.Devices {
		switch {
		case isGuestNode(d):
			out.Linux.Devices = append(out.Linux.Devices, d)
		case isPlanned(d.Path, e), IsPrivileged(in):
			// Planned ones follow; a privileged container gets the guest's.
		default:
			return fmt.Errorf("linux.devices: %s (%s %d:%d) is a device of the host, which a VM does not have; "+
				"remove it, or use privileged_without_host_devices = true in containerd: %w",
				d.Path, d.Type, d.Major, d.Minor, errdefs.ErrNotImplemented)
		}
	}
	for _, d := range e.Devices {
		out.Linux.Devices = append(out.Linux.Devices, blockDevice(in, d))
	}
	return nil
}

func isGuestNode(d specs.LinuxDevice) bool {
	if d.Type != "c" && d.Type != "u" { // the specification has both for a character device
		return false
	}
	for _, known := range guestNodes {
		if d.Major == known.major && d.Minor == known.minor {
			return true
		}
	}
	return false
}

func isPlanned(path string, e Env) bool {
	return slices.ContainsFunc(e.Devices, func(d storage.Device) bool { return d.ContainerPath == path })
}

// IsPrivileged tells a container that may use every device. Its list of devices
// is the host's, and is not looked at.
func IsPrivileged(in *specs.Spec) bool {
	if in == nil || in.Linux == nil || in.Linux.Resources == nil {
		return false
	}
	return slices.ContainsFunc(in.Linux.Resources.Devices, func(r specs.LinuxDeviceCgroup) bool {
		return r.Allow && (r.Type == "" || r.Type == "a") && isAny(r.Major) && isAny(r.Minor) && r.Access == "rwm"
	})
}

// isAny tells "every number" of a device rule.
func isAny(number *int64) bool { return number == nil || *number == -1 }

// blockDevice is a planned one, with owner and mode as the spec has them.
func blockDevice(in *specs.Spec, d storage.Device) specs.LinuxDevice {
	for _, asked := range in.Linux.Devices {
		if asked.Path == d.ContainerPath {
			return asked
		}
	}
	mode := fs.FileMode(0o660)
	return specs.LinuxDevice{Path: d.ContainerPath, Type: "b", Major: d.Major, Minor: d.Minor, FileMode: &mode}
}

// deviceRules are the spec's, and one for each planned device that the spec
// does not name itself.
func deviceRules(in *specs.Spec, e Env) []specs.LinuxDeviceCgroup {
	var rules []specs.LinuxDeviceCgroup
	for _, d := range e.Devices {
		named := slices.ContainsFunc(in.Linux.Devices, func(asked specs.LinuxDevice) bool { return asked.Path == d.ContainerPath })
		if !named {
			rules = append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: "b", Major: &d.Major, Minor: &d.Minor, Access: "rwm"})
		}
	}
	return rules
}

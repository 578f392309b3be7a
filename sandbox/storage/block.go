// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// addBlockDevice gives the container a disk as a device.
func (p *planner) addBlockDevice(m Mount, fact Fact) error {
	return p.addDevice(m.Source, hasOption(m.Options, "ro"),
		Device{ContainerPath: path.Clean(m.Destination), Major: fact.Major, Minor: fact.Minor})
}

func (p *planner) addDevice(hostPath string, readOnly bool, d Device) error {
	if !p.caps.DiskHotplug {
		return fmt.Errorf("a block device needs a VM that takes disks while it runs, and disable_block_device_use = false: %w",
			errdefs.ErrFailedPrecondition)
	}
	d.Disk = len(p.plan.Disks)
	p.plan.Devices = append(p.plan.Devices, d)
	p.plan.Disks = append(p.plan.Disks, Disk{HostPath: hostPath, ReadOnly: readOnly})
	return nil
}

// WithDevices adds the block devices of a container's spec (a volume of mode
// Block is one) to a plan. rules are those of the container's devices: a device
// that none lets write is read-only. A privileged container, which lists every
// device of the host, gets none of them: do not call it then.
func (p Plan) WithDevices(devices []specs.LinuxDevice, rules []specs.LinuxDeviceCgroup, facts Facts, c Capabilities) (Plan, error) {
	p.Disks, p.Devices = slices.Clip(p.Disks), slices.Clip(p.Devices)
	w := planner{facts: facts, caps: c, plan: p}
	for _, d := range devices {
		if d.Type != "b" {
			continue
		}
		hostPath, err := facts.BlockDevice(d.Major, d.Minor)
		if err == nil {
			err = w.addDevice(hostPath, !writable(d, rules), Device{ContainerPath: path.Clean(d.Path), Major: d.Major, Minor: d.Minor})
		}
		if err != nil {
			return Plan{}, fmt.Errorf("device %s: %w", d.Path, err)
		}
	}
	return w.plan, nil
}

// writable applies the rules in order; the last that matches decides.
func writable(d specs.LinuxDevice, rules []specs.LinuxDeviceCgroup) bool {
	allowed := false
	for _, r := range rules {
		matches := (r.Type == "" || r.Type == "a" || r.Type == d.Type) && matchesNumber(r.Major, d.Major) && matchesNumber(r.Minor, d.Minor)
		if matches && (r.Access == "" || strings.Contains(r.Access, "w")) {
			allowed = r.Allow
		}
	}
	return allowed
}

func matchesNumber(rule *int64, number int64) bool {
	return rule == nil || *rule == -1 || *rule == number
}

// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/agent/device"
	"github.com/katapod/katapod/protocols/agentpb"
)

// applyDevices gives the devices of the specification the numbers that they
// have in this guest, and their access rules too.
func (s *Service) applyDevices(ctx context.Context, spec *specs.Spec, devices []*agentpb.Device) error {
	for _, d := range devices {
		node, err := s.Storage.Device(ctx, d.Type, d.Id, d.VmPath)
		if err != nil {
			return err
		}
		number, kind, err := device.NumberOf(node)
		if err != nil {
			return err
		}
		if err := renumber(spec, d.ContainerPath, kind, number); err != nil {
			return err
		}
	}
	return nil
}

func renumber(spec *specs.Spec, path, kind string, n device.Number) error {
	i := slices.IndexFunc(spec.Linux.Devices, func(d specs.LinuxDevice) bool { return d.Path == path })
	if i < 0 {
		return fmt.Errorf("the OCI specification has no device %q: %w", path, errdefs.ErrInvalidArgument)
	}
	d := &spec.Linux.Devices[i]
	oldMajor, oldMinor := d.Major, d.Minor
	d.Type, d.Major, d.Minor = kind, int64(n.Major), int64(n.Minor)
	if spec.Linux.Resources == nil {
		return nil
	}
	for i := range spec.Linux.Resources.Devices {
		rule := &spec.Linux.Resources.Devices[i]
		if rule.Major != nil && rule.Minor != nil && *rule.Major == oldMajor && *rule.Minor == oldMinor {
			major, minor := d.Major, d.Minor
			rule.Type, rule.Major, rule.Minor = kind, &major, &minor
		}
	}
	return nil
}

// hasLSM reports whether the guest's kernel runs a security module.
func hasLSM(name string) bool {
	data, err := os.ReadFile("/sys/kernel/security/lsm")
	return err == nil && slices.Contains(strings.Split(strings.TrimSpace(string(data)), ","), name)
}

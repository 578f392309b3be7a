// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// PlugShare implements [hypervisor.SharePlugger].
func (vm *VM) PlugShare(ctx context.Context, s hypervisor.Share) (hypervisor.PCIPath, error) {
	path, err := vm.plugShare(ctx, s)
	if err != nil {
		return "", fmt.Errorf("plug share %s into VM %s: %w", s.Tag, vm.cfg.ID, err)
	}
	return path, nil
}

func (vm *VM) plugShare(ctx context.Context, s hypervisor.Share) (hypervisor.PCIPath, error) {
	if !vm.cfg.LaterShares {
		return "", fmt.Errorf("a file system daemon cannot map this VM's memory, since its configuration promised no later shares: %w",
			errdefs.ErrFailedPrecondition)
	}
	if err := checkShare(s, map[string]bool{}); err != nil {
		return "", err
	}
	b := shareBackend(s.Tag)
	b.add = func(ctx context.Context, i *instance) error {
		return i.addShare(ctx, s)
	}
	b.device = func(slot int) map[string]any { return shareDevice(s, bridgeID, slot) }
	return vm.plug(ctx, shareDeviceID(s.Tag), b)
}

// UnplugShare implements [hypervisor.SharePlugger].
func (vm *VM) UnplugShare(ctx context.Context, tag string) error {
	if err := vm.unplug(ctx, shareDeviceID(tag), shareBackend(tag)); err != nil {
		return fmt.Errorf("unplug share %s from VM %s: %w", tag, vm.cfg.ID, err)
	}
	return nil
}

// shareBackend knows how to end QEMU's connection to a daemon.
func shareBackend(tag string) backend {
	return backend{remove: func(ctx context.Context, i *instance) error {
		return i.qmp.Execute(ctx, "chardev-remove", map[string]any{"id": chardevID(tag)}, nil)
	}}
}

// addShare connects to a daemon, which listens already, and hands QEMU the connection.
func (i *instance) addShare(ctx context.Context, s hypervisor.Share) error {
	daemon, err := connect(ctx, s)
	if err != nil {
		return err
	}
	defer daemon.Close() // QEMU has a copy.
	name := chardevID(s.Tag)
	if err := i.qmp.SendFile(ctx, name, int(daemon.Fd())); err != nil {
		return err
	}
	err = i.qmp.Execute(ctx, "chardev-add", map[string]any{"id": name, "backend": map[string]any{
		"type": "socket", "data": map[string]any{
			"addr":   map[string]any{"type": "fd", "data": map[string]any{"str": name}},
			"server": false,
		},
	}}, nil)
	if err != nil {
		return errors.Join(err, i.closeFiles(ctx, []string{name}))
	}
	return nil
}

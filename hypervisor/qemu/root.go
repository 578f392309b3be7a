// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/accel"
	"github.com/katapod/katapod/hypervisor/confine"
)

// overflowUser is what the kernel calls a user that it cannot tell, and has no right
// to anything.
const overflowUser = 65534

// kvmDevice is what QEMU opens by that name.
const kvmDevice = "/dev/kvm"

// userOf is whom QEMU runs as.
func userOf(cfg hypervisor.Config) int {
	if cfg.User == 0 {
		return overflowUser
	}
	return cfg.User
}

// Names of the guest's files in QEMU's root directory.
const (
	kernelFile = "/kernel"
	initrdFile = "/initrd"
)

// rootFor makes QEMU's root directory: its program with libraries and firmware, which
// keep their names, the guest's kernel, and devices that it opens by name.
func rootFor(ctx context.Context, cfg hypervisor.Config, accelerator string) (*confine.Root, error) {
	needs, err := confine.KnownNeeds(ctx, findingsDir, cfg.Binary, findNeeds)
	if err != nil {
		return nil, fmt.Errorf("find out what QEMU needs: %w", err)
	}
	root, err := confine.NewRoot(needs.Binds()...)
	if err != nil {
		return nil, err
	}
	root.Bind(confine.Bind{From: cfg.Kernel, At: kernelFile})
	if cfg.Initrd != "" {
		root.Bind(confine.Bind{From: cfg.Initrd, At: initrdFile})
	}
	// It tries locks on /dev/null before it uses any.
	devices := []string{os.DevNull}
	if accelerator != accel.TCG {
		devices = append(devices, kvmDevice)
	}
	for _, device := range devices {
		if err := root.Device(device, userOf(cfg)); err != nil {
			_ = root.Close() // It holds nothing yet.
			return nil, err
		}
	}
	return root, nil
}

// spawn starts QEMU with what was acquired for it.
func (r *resources) spawn(cfg hypervisor.Config) (*process, error) {
	binary, err := filepath.EvalSymlinks(cfg.Binary)
	if err != nil {
		return nil, fmt.Errorf("find QEMU: %w", err)
	}
	return spawn(binary, commandLine(cfg, r.in), r.inherited, func(cmd *exec.Cmd) error {
		return confine.Start(cmd, confine.Process{Root: r.root, NetNS: cfg.NetNS, User: userOf(cfg)})
	})
}

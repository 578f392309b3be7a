// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/storage"
)

// capabilities are what the VM can do with storage.
func (s *Sandbox) capabilities() storage.Capabilities {
	_, err := hypervisor.AsDiskPlugger(s.machine())
	return storage.Capabilities{
		DiskHotplug: err == nil && !s.options.Config.Hypervisor.DisableBlockDeviceUse,
		SharedFS:    s.shares(),
	}
}

// placeRoot brings the root file system within the guest's reach and returns
// what the agent is to mount.
func (c *Container) placeRoot(ctx context.Context, root storage.Root) ([]*agentpb.Storage, error) {
	for _, m := range root.HostMounts {
		if err := c.mountOnShare(ctx, m); err != nil {
			return nil, err
		}
	}
	paths, err := c.plugDisks(ctx, root.Disks)
	if err != nil {
		return nil, err
	}
	return root.Storages(paths.at)
}

// mountOnShare mounts below the shared directory.
func (c *Container) mountOnShare(ctx context.Context, m storage.HostMount) error {
	s := c.sandbox
	target := filepath.Join(s.dirs.share(), m.Target)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("make the mount point of a root file system: %w", err)
	}
	c.hold(func(context.Context) error { return removeEmptied(target, s.dirs.share()) })
	err := c.acquireMount(ctx, target, func() error { return s.drivers.Mounts.Mount(m, target) })
	if err != nil {
		return fmt.Errorf("mount the root file system (%s from %s): %w", m.Type, m.Source, err)
	}
	return nil
}

// acquireMount mounts at target and releases it with the container.
func (c *Container) acquireMount(ctx context.Context, target string, mount func() error) error {
	s := c.sandbox
	if err := s.resources.acquire(ctx, mountOf(target), mount); err != nil {
		return err
	}
	c.hold(func(ctx context.Context) error { return s.resources.release(ctx, mountOf(target)) })
	return nil
}

// removeEmptied removes a mount point and the directories above it that are
// empty by that, up to but not with limit. It never descends: a mount that is
// still there keeps its files.
func removeEmptied(path, limit string) error {
	for ; path != limit && len(path) > len(limit); path = filepath.Dir(path) {
		err := os.Remove(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("remove a mount point: %w", err)
		}
	}
	return nil
}

// diskPaths are where the guest finds disks that were plugged.
type diskPaths []hypervisor.PCIPath

func (p diskPaths) at(disk int) (string, error) {
	if disk < 0 || disk >= len(p) {
		return "", fmt.Errorf("disk %d of %d was not plugged: %w", disk, len(p), errdefs.ErrInvalidArgument)
	}
	return string(p[disk]), nil
}

// plugDisks plugs all disks in order; they are unplugged with the container.
func (c *Container) plugDisks(ctx context.Context, disks []storage.Disk) (diskPaths, error) {
	if len(disks) == 0 {
		return nil, nil
	}
	plugger, err := hypervisor.AsDiskPlugger(c.sandbox.machine())
	if err != nil {
		return nil, err
	}
	var paths diskPaths
	for _, d := range disks {
		if err := c.makeDisk(ctx, d); err != nil {
			return nil, err
		}
		path, err := c.plugDisk(ctx, plugger, d)
		if err != nil {
			return nil, fmt.Errorf("plug %s into the VM: %w", d.HostPath, err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func (c *Container) plugDisk(ctx context.Context, plugger hypervisor.DiskPlugger, d storage.Disk) (hypervisor.PCIPath, error) {
	s := c.sandbox
	var id string
	s.parts.with(func(p *parts) {
		p.disks++
		id = fmt.Sprintf("disk%d", p.disks)
	})
	path, err := plugger.PlugDisk(ctx, hypervisor.Disk{ID: id, Path: d.HostPath, ReadOnly: d.ReadOnly})
	if err != nil {
		return "", err
	}
	hold := c.hold
	if d.ReadOnly && isFile(d.HostPath) {
		hold = c.holdReadOnly
	}
	hold(func(ctx context.Context) error {
		if s.life.over() {
			return nil // it went with the VM
		}
		bounded, cancel := s.life.during(ctx, timeouts.Request)
		defer cancel()
		if err := plugger.UnplugDisk(bounded, id); err != nil && !errdefs.IsNotFound(err) && !s.life.over() {
			return fmt.Errorf("unplug %s: %w", d.HostPath, err)
		}
		return nil
	})
	return path, nil
}

// isFile tells a file from a block device, which is busy as long as it is open.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// makeDisk creates a disk that the plan wants created, with its file system.
// Its file is removed with the container.
func (c *Container) makeDisk(ctx context.Context, d storage.Disk) error {
	if d.MkfsSize == 0 {
		return nil
	}
	if _, err := os.Stat(d.HostPath); err == nil {
		return nil // somebody's, and kept
	}
	s := c.sandbox
	file := fileOf(d.HostPath)
	err := s.resources.acquire(ctx, file, func() error {
		if err := makeSparse(d.HostPath, d.MkfsSize); err != nil {
			return err
		}
		return s.drivers.Mkfs(ctx, d.FSType, d.HostPath)
	})
	if err != nil {
		return fmt.Errorf("make the writable disk %s: %w", d.HostPath, err)
	}
	c.hold(func(ctx context.Context) error { return s.resources.release(ctx, file) })
	return nil
}

// makeSparse makes a new file of that many bytes which takes no space yet.
func makeSparse(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/sandbox/storage"
)

// placeMounts brings the sources of the container's mounts within the guest's
// reach, and returns what the agent is to mount and which devices the container
// gets.
func (c *Container) placeMounts(ctx context.Context, plan storage.Plan) ([]*agentpb.Storage, []*agentpb.Device, error) {
	for _, share := range plan.Shares {
		if err := c.bindOnShare(ctx, share); err != nil {
			return nil, nil, err
		}
	}
	for _, file := range plan.Copies {
		if err := c.sandbox.copies.send(ctx, file, c.copyToGuest); err != nil {
			return nil, nil, err
		}
	}
	paths, err := c.plugDisks(ctx, plan.Disks)
	if err != nil {
		return nil, nil, err
	}
	storages, err := plan.AgentStorages(paths.at)
	if err != nil {
		return nil, nil, err
	}
	devices, err := plan.AgentDevices(paths.at)
	if err != nil {
		return nil, nil, err
	}
	return storages, devices, nil
}

// bindOnShare binds a file or directory of the host below the shared directory.
func (c *Container) bindOnShare(ctx context.Context, share storage.Share) error {
	s := c.sandbox
	target := filepath.Join(s.dirs.share(), share.Name)
	if err := makeMountPoint(target, share.Directory); err != nil {
		return fmt.Errorf("make the mount point of %s: %w", share.Source, err)
	}
	c.hold(func(context.Context) error { return removeEmptied(target, s.dirs.share()) })
	err := c.acquireMount(ctx, target, func() error {
		return s.drivers.Mounts.Bind(share, target)
	})
	if err != nil {
		return fmt.Errorf("share %s with the guest: %w", share.Source, err)
	}
	return nil
}

// makeMountPoint makes something that a file or directory can be bound to.
func makeMountPoint(path string, directory bool) error {
	if directory {
		return os.Mkdir(path, 0o755)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

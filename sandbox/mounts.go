// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

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
		if err := c.copyToGuest(ctx, file); err != nil {
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

// copyChunk is how much of a file one call carries, far below ttrpc's limit of
// 4 MiB per message.
const copyChunk = 1 << 20

// copyToGuest sends a file in chunks. The agent gives it its name once it is
// whole.
func (c *Container) copyToGuest(ctx context.Context, file storage.Copy) error {
	f, err := os.Open(file.Source)
	if err != nil {
		return fmt.Errorf("copy a file to the guest: %w", err)
	}
	defer f.Close() // read only: nothing to lose
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("copy %s to the guest: %w", file.Source, err)
	}
	uid, gid := file.IDMap.Owner(st.Uid, st.Gid)
	agent := c.sandbox.guest()
	for offset := int64(0); ; {
		chunk := make([]byte, min(copyChunk, st.Size-offset))
		if _, err := io.ReadFull(f, chunk); err != nil {
			return fmt.Errorf("copy %s to the guest: it changed meanwhile: %w", file.Source, err)
		}
		_, err := ask(ctx, agent, "copy "+file.Source+" to the guest", requestTimeout, agent.service.CopyFile, &agentpb.CopyFileRequest{
			Path: file.GuestPath, FileSize: st.Size, FileMode: st.Mode, DirMode: 0o755,
			Uid: int32(uid), Gid: int32(gid), Offset: offset, Data: chunk,
		})
		if err != nil {
			return err
		}
		if offset += int64(len(chunk)); offset >= st.Size {
			return nil
		}
	}
}

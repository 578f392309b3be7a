// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"

	"github.com/containerd/containerd/v2/core/mount"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/sandbox/storage"
)

// bindMapped binds with the owners of files shifted (mount_setattr(2),
// MOUNT_ATTR_IDMAP): only a copy of a mount that is not attached yet can be.
func bindMapped(share storage.Share, target string) error {
	users, err := mount.GetUsernsFD(storage.Mappings(share.IDMap.UIDs), storage.Mappings(share.IDMap.GIDs))
	if err != nil {
		return fmt.Errorf("make a user namespace with the map %s of %s: %w", share.IDMap, share.Source, err)
	}
	defer func() { _ = users.Close() }()
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if share.Recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, share.Source, flags)
	if err != nil {
		return fmt.Errorf("copy the mount of %s: %w", share.Source, err)
	}
	tree := os.NewFile(uintptr(fd), share.Source)
	defer func() { _ = tree.Close() }()
	recursive := uint(0)
	if share.IDMap.Recursive {
		recursive = unix.AT_RECURSIVE
	}
	err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|recursive,
		&unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users.Fd())})
	if err != nil {
		return fmt.Errorf("map the ids of %s by %s, which its file system and the host's kernel have to support: %w", share.Source, share.IDMap, err)
	}
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach %s to %s: %w", share.Source, target, err)
	}
	return nil
}

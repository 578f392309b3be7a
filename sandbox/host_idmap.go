// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"

	"github.com/containerd/containerd/v2/core/mount"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/sandbox/storage"
)

// shiftOwners shifts the owners of files below a copy of a mount that is not attached
// yet: only such a one can be (mount_setattr(2), MOUNT_ATTR_IDMAP).
func shiftOwners(tree *os.File, share storage.Share) error {
	users, err := mount.GetUsernsFD(storage.Mappings(share.IDMap.UIDs), storage.Mappings(share.IDMap.GIDs))
	if err != nil {
		return fmt.Errorf("make a user namespace with the map %s of %s: %w", share.IDMap, share.Source, err)
	}
	defer func() { _ = users.Close() }()
	recursive := uint(0)
	if share.IDMap.Recursive {
		recursive = unix.AT_RECURSIVE
	}
	err = unix.MountSetattr(int(tree.Fd()), "", unix.AT_EMPTY_PATH|recursive,
		&unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users.Fd())})
	if err != nil {
		return fmt.Errorf("map the ids of %s by %s, which its file system and the host's kernel have to support: %w", share.Source, share.IDMap, err)
	}
	return nil
}

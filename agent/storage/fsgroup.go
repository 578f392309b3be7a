// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/typespb"
)

// Modes that a volume's group needs, as Kubernetes defines its fsGroup.
const (
	groupDir  = unix.S_ISGID | 0o770
	groupFile = 0o660
)

// applyFSGroup gives a volume to a group.
func applyFSGroup(path string, group *agentpb.FSGroup) error {
	if group == nil || path == "" {
		return nil
	}
	gid := int(group.GroupId)
	if group.GroupChangePolicy == typespb.FSGroupChangePolicy_OnRootMismatch {
		ok, err := rootMatches(path, group.GroupId)
		if err != nil || ok {
			return err
		}
	}
	return filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("give the volume %s to group %d: %w", path, gid, err)
		}
		if err := give(p, e, gid); err != nil {
			return fmt.Errorf("give %s to group %d: %w", p, gid, err)
		}
		return nil
	})
}

func rootMatches(path string, gid uint32) (bool, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return false, fmt.Errorf("read the group of the volume %s: %w", path, err)
	}
	return st.Gid == gid && st.Mode&groupDir == groupDir, nil
}

func give(path string, e fs.DirEntry, gid int) error {
	if err := os.Lchown(path, -1, gid); err != nil {
		return err
	}
	if e.Type()&fs.ModeSymlink != 0 {
		return nil
	}
	info, err := e.Info()
	if err != nil {
		return err
	}
	if e.IsDir() {
		return os.Chmod(path, info.Mode()|unixMode(groupDir))
	}
	return os.Chmod(path, info.Mode()|groupFile)
}

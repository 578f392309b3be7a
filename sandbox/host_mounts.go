// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/containerd/containerd/v2/core/mount"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/sandbox/storage"
)

// hostMounts is the [Mounter] of the mount namespace that the shim runs in,
// which is the engine's.
type hostMounts struct{}

// Share binds dir to itself, so that it is a mount point, and makes it the only
// member of a peer group, which copies of the mount namespace join.
func (hostMounts) Share(dir string) error {
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s to itself: %w", dir, err)
	}
	for _, propagation := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} {
		if err := unix.Mount("", dir, "", propagation, ""); err != nil {
			return fmt.Errorf("set the propagation of %s: %w", dir, err)
		}
	}
	return nil
}

// Mount mounts as containerd would, long overlay options included; but devices on it
// cannot be opened.
func (m hostMounts) Mount(h storage.HostMount, target string) error {
	real, err := filepath.EvalSymlinks(target)
	if err != nil {
		return err
	}
	recursive := slices.Contains(h.Options, "rbind")
	if h.Type == "bind" || recursive || slices.Contains(h.Options, "bind") {
		share := storage.Share{Source: h.Source, Recursive: recursive}
		if slices.Contains(h.Options, "ro") {
			share.Access = storage.ReadOnly
		}
		return m.Bind(share, real)
	}
	entry := mount.Mount{Type: h.Type, Source: h.Source, Options: append(slices.Clone(h.Options), "nosuid", "nodev")}
	if err := entry.Mount(real); err != nil {
		return err
	}
	return detach(real)
}

// Bind binds a file or directory, with its restrictions from the first moment on: the
// copy that virtiofsd's mount namespace gets of a new mount does not change with it.
func (hostMounts) Bind(share storage.Share, target string) error {
	tree, err := copyTree(share)
	if err != nil {
		return err
	}
	defer func() { _ = tree.Close() }() // What is attached stays.
	if err := restrict(tree, share); err != nil {
		return err
	}
	if !share.IDMap.IsZero() {
		if err := shiftOwners(tree, share); err != nil {
			return err
		}
	}
	if err := unix.MoveMount(int(tree.Fd()), "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach %s to %s: %w", share.Source, target, err)
	}
	return detach(target)
}

// copyTree copies the mount of a file or directory; the copy is attached nowhere.
func copyTree(share storage.Share) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if share.Recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, share.Source, flags)
	if err != nil {
		return nil, fmt.Errorf("copy the mount of %s: %w", share.Source, err)
	}
	return os.NewFile(uintptr(fd), share.Source), nil
}

// restrict keeps everybody on the host from opening devices through the copy, and from
// writing through it if it is for reading. A daemon that a guest took over may make
// device nodes, which are for the guest alone to open.
func restrict(tree *os.File, share storage.Share) error {
	attributes := func(flags uint, set uint64) error {
		return unix.MountSetattr(int(tree.Fd()), "", unix.AT_EMPTY_PATH|flags, &unix.MountAttr{Attr_set: set})
	}
	err := attributes(unix.AT_RECURSIVE, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID)
	if err == nil && share.Access != storage.Writable {
		below := uint(0)
		if share.Access == storage.ReadOnlyBelow {
			below = unix.AT_RECURSIVE
		}
		err = attributes(below, unix.MOUNT_ATTR_RDONLY)
	}
	switch {
	case errors.Is(err, unix.ENOSYS) && share.Access == storage.Writable:
		return nil // docs/security.md says so
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("make %s read-only: the kernel lacks mount_setattr(2), which is in Linux since 5.12: %w", share.Source, err)
	case err != nil:
		return fmt.Errorf("restrict the mount of %s: %w", share.Source, err)
	}
	return nil
}

// detach keeps what happens below target from reaching the mount that it is a
// copy of: taking the copy away must not take away mounts of the original.
// Mounts that the original gets later still arrive.
func detach(target string) error {
	if err := unix.Mount("", target, "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("set the propagation of %s: %w", target, err)
	}
	return nil
}

// Unmount detaches all mounts at target with those below: a file system that a
// process still uses ends with its last user, and is out of sight at once.
func (hostMounts) Unmount(target string) error {
	for {
		err := unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, fs.ErrNotExist):
			return nil // not, or no longer, a mount point
		case err != nil:
			return fmt.Errorf("unmount %s: %w", target, err)
		}
	}
}

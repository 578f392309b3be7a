// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

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

// Mount mounts as containerd would, long overlay options included.
func (hostMounts) Mount(m storage.HostMount, target string) error {
	real, err := filepath.EvalSymlinks(target)
	if err != nil {
		return err
	}
	entry := mount.Mount{Type: m.Type, Source: m.Source, Options: m.Options}
	if err := entry.Mount(real); err != nil {
		return err
	}
	return detach(real)
}

// Bind binds a file or directory.
func (hostMounts) Bind(share storage.Share, target string) error {
	if err := bind(share, target); err != nil {
		return err
	}
	if err := detach(target); err != nil {
		return err
	}
	switch share.Access {
	case storage.ReadOnly:
		return makeReadOnly(target, 0)
	case storage.ReadOnlyBelow:
		return makeReadOnly(target, unix.AT_RECURSIVE)
	}
	return nil
}

func bind(share storage.Share, target string) error {
	if !share.IDMap.IsZero() {
		return bindMapped(share, target)
	}
	flags := uintptr(unix.MS_BIND)
	if share.Recursive {
		flags |= unix.MS_REC
	}
	if err := unix.Mount(share.Source, target, "", flags, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", share.Source, target, err)
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

// makeReadOnly makes the mount at target read-only; with the flag AT_RECURSIVE those below it as well.
func makeReadOnly(target string, recursive uint) error {
	err := unix.MountSetattr(unix.AT_FDCWD, target, recursive|unix.AT_SYMLINK_NOFOLLOW,
		&unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	if errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("make %s read-only: the kernel lacks mount_setattr(2), which is in Linux since 5.12: %w", target, err)
	}
	if err != nil {
		return fmt.Errorf("make %s read-only: %w", target, err)
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

// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mount mounts source at target, which is made if it is missing, and returns
// what undoes it.
func mount(source, target, fstype string, o mountOptions) (undo func() error, err error) {
	if err := makeTarget(source, target, o); err != nil {
		return nil, err
	}
	if err := unix.Mount(source, target, fstype, o.flags, strings.Join(o.data, ",")); err != nil {
		return nil, fmt.Errorf("mount %s (%s) at %s with options %q: %w", source, fstype, target, o.data, err)
	}
	undo = func() error { return unmount(target) }
	if err := afterMount(target, o); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}

// afterMount makes the calls that mount(2) does not take together: a bind mount
// ignores other flags, and propagation is a call of its own.
func afterMount(target string, o mountOptions) error {
	const own = unix.MS_BIND | unix.MS_REC
	if o.flags&unix.MS_BIND != 0 && o.flags&^own != 0 && o.flags&unix.MS_REMOUNT == 0 {
		if err := unix.Mount("", target, "", o.flags|unix.MS_REMOUNT, ""); err != nil {
			return fmt.Errorf("apply the mount options of %s: %w", target, err)
		}
	}
	for _, p := range o.propagation {
		if err := unix.Mount("", target, "", p, ""); err != nil {
			return fmt.Errorf("set the propagation of %s: %w", target, err)
		}
	}
	return nil
}

// makeTarget makes the mount point: a file to bind a file to, else a directory.
func makeTarget(source, target string, o mountOptions) error {
	if !filepath.IsAbs(target) {
		return fmt.Errorf("the mount point %q is not an absolute path", target)
	}
	if o.flags&unix.MS_BIND != 0 {
		st, err := os.Stat(source)
		if err != nil {
			return fmt.Errorf("find what to bind at %s: %w", target, err)
		}
		if !st.IsDir() {
			return makeFile(target)
		}
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("make the mount point %s: %w", target, err)
	}
	return nil
}

func makeFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the directory of the mount point %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return fmt.Errorf("make the mount point %s: %w", path, err)
	}
	return f.Close()
}

// unmount unmounts what is at target. What is busy is detached, so that it goes
// with its last user; the log says so, since a disk is not free before that.
func unmount(target string) error {
	err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EBUSY) {
		slog.Warn("a busy mount is detached", "mount", target)
		err = unix.Unmount(target, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	}
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %s: %w", target, err)
	}
	return nil
}

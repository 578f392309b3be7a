// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Hold goes to directories of a share before a container does, so that what the
// kernel mounts there is mounted here, and returns what unmounts it when nobody
// in the container is left.
//
// Where the host has a mount, the kernel makes a mount of its own when somebody
// first goes there, in that one's mount namespace. Were it the container's alone,
// the end of its last process would end the file system with requests on their
// way: what was read ahead, files that were just closed. When the answers come,
// Linux 6.12 finds inodes whose file system is gone, and panics
// (generic_shutdown_super leaves VFS_PTR_POISON in them). A mount below a volume
// is still made by whoever goes there.
func Hold(directories []string) (release func() error, err error) {
	var held []string
	release = func() error {
		var errs []error
		for _, d := range held {
			errs = append(errs, settle(d), unmount(d))
		}
		return errors.Join(errs...)
	}
	for _, d := range directories {
		mounted, err := enter(d)
		if err != nil {
			return nil, errors.Join(err, release())
		}
		if mounted {
			held = append(held, d)
		}
	}
	return release, nil
}

// enter makes the kernel mount what it mounts at a directory, and tells whether
// something is mounted there. A file is no directory and nothing is mounted on it.
func enter(directory string) (mounted bool, err error) {
	if err := refresh(filepath.Dir(directory), directory); err != nil {
		return false, err
	}
	// Without O_DIRECTORY, O_PATH would stop before the mount.
	fd, err := unix.Open(directory, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOTDIR) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("go to the shared directory %s: %w", directory, err)
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &st); err != nil {
		return false, fmt.Errorf("look at the shared directory %s: %w", directory, err)
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// refresh has the kernel ask the share what these names are now. For a second it
// would go by what it was told before, which are a removed container's directories
// when its id is used again. Of all calls only those that are to make something ask
// at once (LOOKUP_EXCL in fuse_dentry_revalidate).
func refresh(paths ...string) error {
	for _, p := range paths {
		err := unix.Mkdir(p, 0o700)
		if err == nil {
			err = errors.Join(fmt.Errorf("it is not there: %w", unix.ENOENT), unix.Rmdir(p))
		}
		if !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("look up %s on the share: %w", p, err)
		}
	}
	return nil
}

// rounds is how many batches of requests may be on their way. The kernel hands a
// file system daemon twelve in the background at a time.
const rounds = 16

// settle returns when requests that were under way at a mount have been answered.
// Requests of a share are answered in order, and asking for the size of a file
// system is one; an answer may cause another request, the release of a file.
func settle(mount string) error {
	for range rounds {
		var st unix.Statfs_t
		if err := unix.Statfs(mount, &st); err != nil {
			return fmt.Errorf("wait for the requests to the share of %s: %w", mount, err)
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package guestfs

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// Tree is a directory below which files are written.
type Tree struct{ root string }

// NewTree returns the tree below root, an absolute path.
func NewTree(root string) *Tree { return &Tree{filepath.Clean(root)} }

// relative returns the path below the root. A path that is not there, or says
// "..", is refused.
func (t *Tree) relative(path string) (string, error) {
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return "", fmt.Errorf("the path %q has a \"..\": %w", path, errdefs.ErrInvalidArgument)
		}
	}
	rel, ok := strings.CutPrefix(filepath.Clean(path), t.root+"/")
	if !ok {
		return "", fmt.Errorf("the path %q is not below %s: %w", path, t.root, errdefs.ErrInvalidArgument)
	}
	return rel, nil
}

// dirAttributes are what new directories get.
type dirAttributes struct {
	mode     uint32
	uid, gid int
}

// openDir opens the directory at a path relative to the root, making what is
// missing. The caller closes it.
func (t *Tree) openDir(rel string, attributes dirAttributes) (int, error) {
	dir, err := unix.Open(t.root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", t.root, err)
	}
	done := ""
	for part := range strings.SplitSeq(rel, "/") {
		if part == "" || part == "." {
			continue
		}
		next, err := t.enter(dir, done, part, attributes)
		_ = unix.Close(dir)
		if err != nil {
			return -1, err
		}
		dir, done = next, filepath.Join(done, part)
	}
	return dir, nil
}

// enter opens one directory in dir, which is at done, and makes it if need be.
// The whole path is resolved from the root, so that absolute links mean the
// same as in a container.
func (t *Tree) enter(dir int, done, name string, attributes dirAttributes) (int, error) {
	fd, err := t.resolve(filepath.Join(done, name))
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	err = unix.Mkdirat(dir, name, attributes.mode)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, fmt.Errorf("make the directory %s: %w", filepath.Join(t.root, done, name), err)
	}
	if err == nil {
		if err := setAttributes(dir, name, attributes.mode, attributes.uid, attributes.gid); err != nil {
			return -1, err
		}
	}
	return t.resolve(filepath.Join(done, name))
}

func (t *Tree) resolve(rel string) (int, error) {
	root, err := unix.Open(t.root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", t.root, err)
	}
	defer func() { _ = unix.Close(root) }()
	fd, err := unix.Openat2(root, rel, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return -1, fmt.Errorf("open the directory %s: %w", filepath.Join(t.root, rel), err)
	}
	return fd, nil
}

// setAttributes sets owner and mode of a directory in dir.
func setAttributes(dir int, name string, mode uint32, uid, gid int) error {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the directory %s: %w", name, err)
	}
	defer func() { _ = unix.Close(fd) }()
	return setOpenAttributes(fd, name, mode, uid, gid)
}

// setOpenAttributes is by descriptor: a name could be another thing meanwhile.
// The mode comes last, since a change of the owner clears its special bits.
func setOpenAttributes(fd int, name string, mode uint32, uid, gid int) error {
	if err := unix.Fchown(fd, uid, gid); err != nil {
		return fmt.Errorf("set the owner of %s: %w", name, err)
	}
	if err := unix.Fchmod(fd, mode); err != nil {
		return fmt.Errorf("set the mode of %s: %w", name, err)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package guestfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// File is one call of the host: a directory, a link, or a piece of a file.
type File struct {
	// Path is absolute in the guest.
	Path string
	// Size is the whole file's, in bytes.
	Size int64
	// Mode has the file's type and permissions as st_mode has them.
	Mode uint32
	// DirMode is the permissions of directories that are missing above it.
	DirMode  uint32
	UID, GID int
	// Offset is where Data belongs in the file. The Data of a link is what it
	// leads to.
	Offset int64
	Data   []byte
}

// Copier writes files from pieces: a file appears under its name when it is
// whole, in place of what was there. Make it with [NewCopier].
type Copier struct {
	tree *Tree
	// mu guards against two pieces of one file at once; the host sends them in
	// order.
	mu sync.Mutex
}

// NewCopier returns a copier into the tree.
func NewCopier(tree *Tree) *Copier { return &Copier{tree: tree} }

// Put takes one call.
func (c *Copier) Put(f File) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	rel, err := c.tree.relative(f.Path)
	if err != nil {
		return err
	}
	if f.Offset < 0 || f.Size < 0 || f.Offset > f.Size && f.Mode&unix.S_IFMT == unix.S_IFREG {
		return fmt.Errorf("file %s: offset %d and size %d do not fit: %w", f.Path, f.Offset, f.Size, errdefs.ErrInvalidArgument)
	}
	dirMode := f.DirMode & 0o7777
	if dirMode == 0 {
		dirMode = 0o755
	}
	dir, err := c.tree.openDir(filepath.Dir(rel), dirAttributes{dirMode, f.UID, f.GID})
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(dir) }()
	if err := put(dir, filepath.Base(rel), f); err != nil {
		return fmt.Errorf("write %s: %w", f.Path, err)
	}
	return nil
}

func put(dir int, name string, f File) error {
	switch f.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return putDir(dir, name, f)
	case unix.S_IFLNK:
		return putLink(dir, name, f)
	case unix.S_IFREG, 0:
		return putPiece(dir, name, f)
	}
	return fmt.Errorf("the mode %o is of no file, directory or link: %w", f.Mode, errdefs.ErrInvalidArgument)
}

func putDir(dir int, name string, f File) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("something else is there: %w", errdefs.ErrAlreadyExists)
	}
	if errors.Is(err, unix.ENOENT) {
		err = unix.Mkdirat(dir, name, 0o700)
	}
	if err != nil {
		return err
	}
	return setAttributes(dir, name, f.Mode&0o7777, f.UID, f.GID)
}

// temporary is the name of a file that is not whole yet: the name with a
// beginning that the host's files do not have, so that two files never share it.
func temporary(name string) string { return ".katapod-part-" + name }

func putLink(dir int, name string, f File) error {
	tmp := temporary(name)
	if err := unix.Unlinkat(dir, tmp, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	if err := unix.Symlinkat(string(f.Data), dir, tmp); err != nil {
		return err
	}
	if err := unix.Fchownat(dir, tmp, f.UID, f.GID, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	return unix.Renameat(dir, tmp, dir, name)
}

// putPiece writes a piece to the temporary file, which the first piece makes
// anew and the last one gives its name.
func putPiece(dir int, name string, f File) error {
	tmp := temporary(name)
	flags := unix.O_WRONLY | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_CLOEXEC
	if f.Offset == 0 {
		if err := unix.Unlinkat(dir, tmp, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
		flags |= unix.O_EXCL
	}
	fd, err := unix.Openat(dir, tmp, flags, 0o600)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), name)
	defer func() { _ = file.Close() }()
	if _, err := file.WriteAt(f.Data, f.Offset); err != nil {
		return err
	}
	if f.Offset+int64(len(f.Data)) < f.Size {
		return nil
	}
	if err := unix.Ftruncate(fd, f.Size); err != nil {
		return err
	}
	if err := setOpenAttributes(fd, name, f.Mode&0o7777, f.UID, f.GID); err != nil {
		return err
	}
	return unix.Renameat(dir, tmp, dir, name)
}

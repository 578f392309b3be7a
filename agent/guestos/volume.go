// SPDX-License-Identifier: Apache-2.0

package guestos

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// Usage is how full a mounted volume is, in bytes and in inodes.
type Usage struct {
	Bytes, Inodes Amount
}

// Amount is a number of units.
type Amount struct{ Total, Used, Available uint64 }

// VolumeUsage returns how full the file system at path is.
func VolumeUsage(path string) (Usage, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		if err == unix.ENOENT {
			return Usage{}, fmt.Errorf("no volume at %q: %w", path, errdefs.ErrNotFound)
		}
		return Usage{}, fmt.Errorf("read how full the volume at %s is: %w", path, err)
	}
	block := uint64(st.Frsize)
	return Usage{
		Bytes:  Amount{Total: st.Blocks * block, Used: (st.Blocks - st.Bfree) * block, Available: st.Bavail * block},
		Inodes: Amount{Total: st.Files, Used: st.Files - st.Ffree, Available: st.Ffree},
	}, nil
}

// Requests of ext4 (fs/ext4/ext4.h, EXT4_IOC_RESIZE_FS) and of block devices
// (linux/fs.h, BLKGETSIZE64).
const (
	ext4ResizeFS = 0x40086610
	blkGetSize64 = 0x80081272
)

// ResizeVolume grows the ext4 file system mounted at path to size in bytes, 0
// for all of its disk. The kernel does it on the mounted file system; a program
// such as resize2fs would have to open the disk, which the guest's kernel does
// not let anybody write while it is mounted.
func ResizeVolume(path string, size uint64) error {
	source, fstype, err := mountAt("/proc/self/mountinfo", path)
	if err != nil {
		return err
	}
	if fstype != "ext4" {
		return fmt.Errorf("the volume at %s is %s, only ext4 can be resized: %w", path, fstype, errdefs.ErrNotImplemented)
	}
	disk, err := diskSize(source)
	if err != nil {
		return err
	}
	if size == 0 {
		size = disk
	}
	if size > disk {
		return fmt.Errorf("the volume at %s cannot have %d bytes, its disk has %d: %w", path, size, disk, errdefs.ErrInvalidArgument)
	}
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the volume at %s: %w", path, err)
	}
	defer func() { _ = dir.Close() }()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return fmt.Errorf("read the block size of the volume at %s: %w", path, err)
	}
	blocks := size / uint64(st.Bsize)
	if err := ioctl(dir, ext4ResizeFS, unsafe.Pointer(&blocks)); err != nil {
		return fmt.Errorf("resize the volume at %s to %d bytes: %w", path, size, err)
	}
	return nil
}

func diskSize(node string) (uint64, error) {
	f, err := os.Open(node)
	if err != nil {
		return 0, fmt.Errorf("open the disk of a volume: %w", err)
	}
	defer func() { _ = f.Close() }()
	var n uint64
	if err := ioctl(f, blkGetSize64, unsafe.Pointer(&n)); err != nil {
		return 0, fmt.Errorf("read the size of the disk %s: %w", node, err)
	}
	return n, nil
}

// mountAt returns the source and type of the last mount at path, from a file in
// the form of proc_pid_mountinfo(5).
func mountAt(table, path string) (source, fstype string, err error) {
	f, err := os.Open(table)
	if err != nil {
		return "", "", fmt.Errorf("list the guest's mounts: %w", err)
	}
	defer func() { _ = f.Close() }()
	path = filepath.Clean(path)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if ok && len(left) > 4 && len(right) > 1 && left[4] == path {
			fstype, source = right[0], right[1]
		}
	}
	if source == "" {
		return "", "", fmt.Errorf("no volume is mounted at %q: %w", path, errdefs.ErrNotFound)
	}
	return source, fstype, nil
}

// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/containerd/errdefs"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Kind is what a path of the host is.
type Kind int

// Kinds of files. Other is a FIFO or anything that has no better name.
const (
	File Kind = iota + 1
	Directory
	BlockDevice
	CharDevice
	Socket
	Other
)

// String returns the kind as a noun.
func (k Kind) String() string {
	switch k {
	case File:
		return "file"
	case Directory:
		return "directory"
	case BlockDevice:
		return "block device"
	case CharDevice:
		return "character device"
	case Socket:
		return "socket"
	default:
		return "special file"
	}
}

// Fact is what the planner wants to know about a path of the host.
type Fact struct {
	Kind Kind
	// Size is the length of a file in bytes.
	Size int64
	// Tmpfs is whether a directory lies on a tmpfs, and TmpfsSize that file
	// system's limit in bytes, 0 for none.
	Tmpfs     bool
	TmpfsSize int64
	// Major and Minor are the numbers of a device.
	Major, Minor int64
}

// Facts answers questions about the host.
type Facts interface {
	// Stat follows symbolic links. A path that is absent is errdefs.ErrNotFound.
	Stat(path string) (Fact, error)
	// BlockDevice returns the path of the block device of that number. A number
	// that no device has is errdefs.ErrNotFound.
	BlockDevice(major, minor int64) (string, error)
	// MountsBelow tells whether anything is mounted below a directory.
	MountsBelow(dir string) (bool, error)
}

// Host answers from the host's file system.
type Host struct{}

// Stat implements [Facts].
func (Host) Stat(path string) (Fact, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Fact{}, fmt.Errorf("%s does not exist on the host: %w", path, errdefs.ErrNotFound)
	}
	if err != nil {
		return Fact{}, fmt.Errorf("looking at a mount's source: %w", err)
	}
	fact := Fact{Kind: kind(info.Mode()), Size: info.Size()}
	if raw, ok := info.Sys().(*syscall.Stat_t); ok && (fact.Kind == BlockDevice || fact.Kind == CharDevice) {
		fact.Major, fact.Minor = int64(unix.Major(raw.Rdev)), int64(unix.Minor(raw.Rdev))
	}
	if fact.Kind != Directory {
		return fact, nil
	}
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return Fact{}, fmt.Errorf("looking at the file system of %s: %w", path, err)
	}
	if s.Type == unix.TMPFS_MAGIC {
		fact.Tmpfs, fact.TmpfsSize = true, int64(s.Blocks)*s.Bsize
	}
	return fact, nil
}

// MountsBelow implements [Facts].
func (Host) MountsBelow(dir string) (bool, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, fmt.Errorf("looking for mounts below %s: %w", dir, err)
	}
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return m.Mountpoint == real || !strings.HasPrefix(m.Mountpoint, strings.TrimSuffix(real, "/")+"/"), false
	})
	if err != nil {
		return false, fmt.Errorf("looking for mounts below %s: %w", dir, err)
	}
	return len(mounts) > 0, nil
}

func kind(m fs.FileMode) Kind {
	switch {
	case m.IsRegular():
		return File
	case m.IsDir():
		return Directory
	case m&fs.ModeSocket != 0:
		return Socket
	case m&fs.ModeCharDevice != 0:
		return CharDevice
	case m&fs.ModeDevice != 0:
		return BlockDevice
	default:
		return Other
	}
}

// BlockDevice implements [Facts]. It reads /sys/dev/block, whose links the
// kernel keeps for every block device.
func (Host) BlockDevice(major, minor int64) (string, error) {
	link := fmt.Sprintf("/sys/dev/block/%d:%d/uevent", major, minor)
	data, err := os.ReadFile(link)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the host has no block device %d:%d: %w", major, minor, errdefs.ErrNotFound)
	}
	if err != nil {
		return "", fmt.Errorf("looking for the block device %d:%d: %w", major, minor, err)
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "DEVNAME="); ok {
			return filepath.Join("/dev", name), nil
		}
	}
	return "", fmt.Errorf("block device %d:%d has no name: %w", major, minor, errdefs.ErrNotFound)
}

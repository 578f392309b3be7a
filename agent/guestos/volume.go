// SPDX-License-Identifier: Apache-2.0

package guestos

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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

// ResizeVolume grows the ext4 file system mounted at path to size in bytes, 0
// for all of its disk.
func ResizeVolume(ctx context.Context, run Runner, path string, size uint64) error {
	source, fstype, err := mountAt("/proc/self/mountinfo", path)
	if err != nil {
		return err
	}
	if fstype != "ext4" {
		return fmt.Errorf("the volume at %s is %s, only ext4 can be resized: %w", path, fstype, errdefs.ErrNotImplemented)
	}
	args := []string{source}
	if size > 0 {
		// In units of 1 KiB, resize2fs's smallest that any block size takes.
		args = append(args, fmt.Sprintf("%dK", size>>10))
	}
	if _, err := tool(ctx, run, "resize2fs", args...); err != nil {
		return fmt.Errorf("resize the volume at %s: %w", path, err)
	}
	return nil
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

// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// undoMount unmounts what is mounted at a path, as often as it is, and all that
// is mounted below it, the deepest first. Lazily: a process that still has a file
// open keeps the file, not the mount point.
func undoMount(_ context.Context, args []string) error {
	points, err := mountsBelow(args[0])
	if err != nil {
		return err
	}
	var errs []error
	for _, point := range slices.Backward(points) {
		err := unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", point, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	left, err := mountsBelow(args[0])
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%s is still mounted: %w", left[0], errdefs.ErrFailedPrecondition)
	}
	return err
}

// mountsBelow lists mount points at and below path, in the order they were
// mounted in, once for each mount.
func mountsBelow(path string) ([]string, error) {
	path, err := realPath(path)
	if err != nil || path == "" {
		return nil, err
	}
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	return pointsBelow(string(data), path), nil
}

// pointsBelow reads a table in the form of proc_pid_mountinfo(5), whose fifth field
// is the mount point. One space parts the fields: any other that Unicode knows may
// be in a path as it is.
func pointsBelow(table, path string) []string {
	var points []string
	for line := range strings.Lines(table) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 6)
		if len(fields) < 5 {
			continue
		}
		point := unescape(fields[4])
		if point == path || strings.HasPrefix(point, path+"/") {
			points = append(points, point)
		}
	}
	return points
}

// realPath resolves links in the parents of path, as mount points are listed
// without; the last part is left as it is. An absent parent gives "".
func realPath(path string) (string, error) {
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("resolving %s: %w", path, err)
	}
	return filepath.Join(parent, filepath.Base(path)), nil
}

// unescape decodes the octal escapes of mountinfo: \040 is a space.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

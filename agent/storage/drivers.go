// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// Driver options and prefixes of the contract.
const (
	createDirectory = "io.katacontainers.volume.overlayfs.create_directory="
	overlayRW       = "io.katacontainers.fs-opt.overlay-rw"
)

// table lists the drivers. The names are the wire's.
func (m *Manager) table() map[string]driver {
	return map[string]driver{
		"blk":            m.disk(m.blk),
		"mmioblk":        m.disk(m.node),
		"nvdimm":         m.disk(m.node),
		"scsi":           m.disk(m.scsi),
		"virtio-fs":      m.virtioFS,
		"bind":           bind,
		"watchable-bind": bind,
		"overlayfs":      overlay,
		"ephemeral":      ephemeral,
		"local":          local,
	}
}

// virtioFS mounts a file system of the host by its tag. Its device may have been
// plugged a moment ago.
func (m *Manager) virtioFS(ctx context.Context, r request) (func() error, error) {
	if err := m.finder.Share(ctx, r.Source); err != nil {
		return nil, err
	}
	undo, err := mount(r.Source, r.MountPoint, r.Fstype, parseOptions(r.Options))
	if err != nil {
		return nil, err
	}
	if err := readAhead(m.finder.Sys, r.MountPoint, shareReadAhead); err != nil {
		slog.Warn("a share is read more slowly than it could be", "error", err)
	}
	return undo, nil
}

// bind binds a path of the guest. A watchable-bind is one too: the host that
// shares a directory so that changes are noticed would have the guest copy it
// every few seconds, since virtio-fs tells the guest of no changes made on the
// host; the plain bind shows every change at once and in order, and only
// inotify stays silent.
func bind(_ context.Context, r request) (func() error, error) {
	o := parseOptions(r.Options)
	o.flags |= unix.MS_BIND
	return mount(r.Source, r.MountPoint, "bind", o)
}

// overlay stacks directories, and makes those that the options ask for.
func overlay(_ context.Context, r request) (func() error, error) {
	o := parseOptions(r.Options)
	for _, d := range r.DriverOptions {
		if dir, ok := strings.CutPrefix(d, createDirectory); ok {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return nil, fmt.Errorf("make a directory of the overlay: %w", err)
			}
		}
	}
	o, err := ownUpper(r, o)
	if err != nil {
		return nil, err
	}
	return mount("overlay", r.MountPoint, "overlay", o)
}

// ownUpper gives an overlay that is to be writable directories in the
// container's bundle.
func ownUpper(r request, o mountOptions) (mountOptions, error) {
	kept := o.data[:0:0]
	wanted := false
	for _, d := range o.data {
		if d == overlayRW {
			wanted = true
		} else {
			kept = append(kept, d)
		}
	}
	o.data = kept
	if !wanted {
		return o, nil
	}
	if r.bundle == "" {
		return o, fmt.Errorf("%s needs a container: %w", overlayRW, errdefs.ErrInvalidArgument)
	}
	for option, name := range map[string]string{"upperdir": "fs", "workdir": "work"} {
		dir := filepath.Join(r.bundle, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return o, fmt.Errorf("make the overlay's %s: %w", option, err)
		}
		o.data = append(o.data, option+"="+dir)
	}
	return o, nil
}

// local is a directory of the guest, with mode= and fsgid= as options.
func local(_ context.Context, r request) (func() error, error) {
	o := parseOptions(r.Options)
	mode := os.FileMode(0o755)
	if text, ok := o.value("mode"); ok {
		n, err := strconv.ParseUint(text, 8, 12)
		if err != nil {
			return nil, fmt.Errorf("the option mode=%s is not an octal mode: %w", text, errdefs.ErrInvalidArgument)
		}
		mode = unixMode(uint32(n))
	}
	if err := os.MkdirAll(r.MountPoint, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory: %w", err)
	}
	// Chmod, because the umask takes from what mkdir gets.
	if err := os.Chmod(r.MountPoint, mode); err != nil {
		return nil, fmt.Errorf("set the directory's mode: %w", err)
	}
	if err := optionGroup(&o, r.MountPoint); err != nil {
		return nil, err
	}
	dir := r.MountPoint
	return func() error { return os.RemoveAll(dir) }, nil
}

// optionGroup applies the option fsgid=.
func optionGroup(o *mountOptions, path string) error {
	text, ok := o.value("fsgid")
	if !ok {
		return nil
	}
	gid, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return fmt.Errorf("the option fsgid=%s is not a group: %w", text, errdefs.ErrInvalidArgument)
	}
	if err := os.Chown(path, -1, int(gid)); err != nil {
		return fmt.Errorf("give %s to group %d: %w", path, gid, err)
	}
	if err := os.Chmod(path, 0o775|os.ModeSetgid); err != nil {
		return fmt.Errorf("let new files in %s have group %d: %w", path, gid, err)
	}
	return nil
}

// unixMode turns the twelve mode bits of chmod(2) into Go's.
func unixMode(bits uint32) os.FileMode {
	mode := os.FileMode(bits & 0o777)
	for bit, flag := range map[uint32]os.FileMode{unix.S_ISUID: os.ModeSetuid, unix.S_ISGID: os.ModeSetgid, unix.S_ISVTX: os.ModeSticky} {
		if bits&bit != 0 {
			mode |= flag
		}
	}
	return mode
}

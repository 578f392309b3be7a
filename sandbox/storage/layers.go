// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
)

// Types of file systems that the guest mounts from a disk.
var diskTypes = [...]string{"ext4", "xfs", "erofs"}

// Prefixes of containerd's mount manager, see its documentation of mounts: what
// they ask for was left to the shim, since it advertised that it can.
const (
	prefixFormat = "format/"
	prefixMkdir  = "mkdir/"
	prefixMkfs   = "mkfs/"
	optionMkdir  = "X-containerd.mkdir.path="
	optionMkfs   = "X-containerd.mkfs."
)

// supported is the end of every error about an unknown mount.
const supported = "supported are overlay, bind, and the disks ext4, xfs and erofs, alone or below an overlay " +
	"(containerd's snapshotters overlayfs, native, blockfile, erofs)"

// diskRoot is one disk that is the root.
func diskRoot(cid string, m Mount, c Capabilities) (Root, error) {
	d, err := disk(m, DiskRoot(cid), c)
	if err != nil {
		return Root{}, err
	}
	return Root{GuestPath: DiskRoot(cid), Disks: []Disk{d}}, nil
}

// layeredRoot is disks that an overlay joins, or one disk bound as the root.
func layeredRoot(cid string, rootfs []Mount, c Capabilities) (Root, error) {
	top := rootfs[len(rootfs)-1]
	root := Root{GuestPath: DiskRoot(cid)}
	for i, m := range rootfs[:len(rootfs)-1] {
		d, err := disk(m, layerPath(cid, i), c)
		if err != nil {
			return Root{}, err
		}
		root.Disks = append(root.Disks, d)
	}
	var err error
	switch kind, format, mkdir := overlayKind(top.Type); {
	case kind == "overlay":
		root.Overlay, err = overlay(cid, top.Options, root.Disks, format, mkdir)
	case kind == "bind" && format && !mkdir:
		root.GuestPath, err = boundRoot(top, root.Disks)
	default:
		err = fmt.Errorf("mount of type %q joins others; %s: %w", top.Type, supported, errdefs.ErrNotImplemented)
	}
	if err != nil {
		return Root{}, err
	}
	return root, nil
}

// boundRoot is a place on one of the disks, which is the root as it is: a view
// of an image with one layer.
func boundRoot(top Mount, disks []Disk) (string, error) {
	o := overlayBuilder{disks: disks, format: true}
	places, err := o.expand(top.Source)
	if err == nil && len(places) != 1 {
		err = fmt.Errorf("it is %d places, not one: %w", len(places), errdefs.ErrInvalidArgument)
	}
	if err != nil {
		return "", fmt.Errorf("source %q of a bind mount over disks: %w", top.Source, err)
	}
	return places[0], nil
}

func layerPath(cid string, n int) string {
	return path.Join(containersDir, cid, "layers", strconv.Itoa(n))
}

// overlayKind takes containerd's prefixes off a type.
func overlayKind(t string) (kind string, format, mkdir bool) {
	for {
		if rest, ok := strings.CutPrefix(t, prefixFormat); ok {
			t, format = rest, true
			continue
		}
		if rest, ok := strings.CutPrefix(t, prefixMkdir); ok {
			t, mkdir = rest, true
			continue
		}
		return t, format, mkdir
	}
}

// disk plans one block device.
func disk(m Mount, target string, c Capabilities) (Disk, error) {
	kind, mkfs := strings.CutPrefix(m.Type, prefixMkfs)
	if !slices.Contains(diskTypes[:], kind) {
		return Disk{}, fmt.Errorf("mount of type %q from %s: %s: %w", m.Type, m.Source, supported, errdefs.ErrNotImplemented)
	}
	if !c.DiskHotplug {
		return Disk{}, fmt.Errorf("mount of type %q from %s needs a disk, but this VM takes none while it runs, "+
			"or disable_block_device_use is set; use containerd's snapshotter overlayfs: %w", m.Type, m.Source, errdefs.ErrFailedPrecondition)
	}
	if !path.IsAbs(m.Source) {
		return Disk{}, fmt.Errorf("mount of type %q: source %q is not an absolute path: %w", m.Type, m.Source, errdefs.ErrInvalidArgument)
	}
	d := Disk{HostPath: m.Source, FSType: kind, GuestMount: target, ReadOnly: kind == "erofs" || hasOption(m.Options, "ro")}
	for _, option := range m.Options {
		switch {
		case option == "loop" || option == "rw" || option == "ro":
		case strings.HasPrefix(option, optionMkfs):
			if err := mkfsOption(&d, option); err != nil {
				return Disk{}, err
			}
		case strings.Contains(option, "/"):
			// An EROFS image over several files names the others so.
			return Disk{}, fmt.Errorf("mount of type %q from %s: option %q names a path of the host, which a guest does not have: %w",
				m.Type, m.Source, option, errdefs.ErrNotImplemented)
		default:
			d.Options = append(d.Options, option)
		}
	}
	if d.ReadOnly {
		d.Options = append([]string{"ro"}, d.Options...)
	}
	if mkfs != (d.MkfsSize > 0) {
		return Disk{}, fmt.Errorf("mount of type %q from %s: the type says mkfs = %v, the options a size of %d: %w",
			m.Type, m.Source, mkfs, d.MkfsSize, errdefs.ErrInvalidArgument)
	}
	return d, nil
}

// mkfsOption reads X-containerd.mkfs.size and .fs.
func mkfsOption(d *Disk, option string) error {
	key, value, _ := strings.Cut(strings.TrimPrefix(option, optionMkfs), "=")
	switch key {
	case "size":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n <= 0 {
			return fmt.Errorf("option %q: the size is no positive number: %w", option, errdefs.ErrInvalidArgument)
		}
		d.MkfsSize = n
		return nil
	case "fs":
		if value == d.FSType {
			return nil
		}
	}
	return fmt.Errorf("option %q of a %s file system to make is not supported: %w", option, d.FSType, errdefs.ErrNotImplemented)
}

func hasOption(options []string, want string) bool { return slices.Contains(options, want) }

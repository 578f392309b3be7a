// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/agentpb"
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
	// createDirectory is the agent's option to make a directory first.
	createDirectory = "io.katacontainers.volume.overlayfs.create_directory="
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

// layeredRoot is disks that an overlay joins.
func layeredRoot(cid string, rootfs []Mount, c Capabilities) (Root, error) {
	top := rootfs[len(rootfs)-1]
	kind, format, mkdir := overlayKind(top.Type)
	if kind != "overlay" {
		return Root{}, fmt.Errorf("mount of type %q joins others; %s: %w", top.Type, supported, errdefs.ErrNotImplemented)
	}
	root := Root{GuestPath: DiskRoot(cid)}
	for i, m := range rootfs[:len(rootfs)-1] {
		d, err := disk(m, layerPath(cid, i), c)
		if err != nil {
			return Root{}, err
		}
		root.Disks = append(root.Disks, d)
	}
	var err error
	root.Overlay, err = overlay(cid, top.Options, root.Disks, format, mkdir)
	return root, err
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

// Options of overlay that containerd sends and the guest understands.
var overlayFlags = [...]string{"index=off", "userxattr", "metacopy=on", "metacopy=off", "redirect_dir=on", "redirect_dir=off", "ro", "rw"}

// overlay translates the options of an overlay over disks: places of layers
// become places in the guest, and an upper directory of the host becomes one on
// the guest's tmpfs.
func overlay(cid string, options []string, disks []Disk, format, mkdir bool) (*agentpb.Storage, error) {
	o := overlayBuilder{cid: cid, disks: disks, format: format, mkdir: mkdir}
	for _, option := range options {
		if err := o.add(option); err != nil {
			return nil, err
		}
	}
	if o.lower == "" {
		return nil, fmt.Errorf("an overlay without lowerdir: %w", errdefs.ErrInvalidArgument)
	}
	return &agentpb.Storage{
		Driver: "overlayfs", Fstype: "overlay", Source: "overlay",
		Options: o.guestOptions(), DriverOptions: o.directories, MountPoint: DiskRoot(cid),
	}, nil
}

type overlayBuilder struct {
	cid                string
	disks              []Disk
	format, mkdir      bool
	lower, upper, work string
	flags, directories []string
}

func (o *overlayBuilder) add(option string) error {
	key, value, _ := strings.Cut(option, "=")
	switch {
	case strings.HasPrefix(option, optionMkdir) && o.mkdir:
		return nil // the directories of upper and work are made in any case
	case key == "lowerdir":
		return o.addLower(value)
	case key == "upperdir":
		o.upper = o.writable(value, "upper")
	case key == "workdir":
		o.work = o.writable(value, "work")
	case slices.Contains(overlayFlags[:], option):
		o.flags = append(o.flags, option)
	default:
		return fmt.Errorf("option %q of an overlay over disks is not supported: %w", option, errdefs.ErrNotImplemented)
	}
	return nil
}

func (o *overlayBuilder) addLower(value string) error {
	var lowers []string
	for part := range strings.SplitSeq(value, ":") {
		paths, err := o.expand(part)
		if err != nil {
			return err
		}
		lowers = append(lowers, paths...)
	}
	o.lower = strings.Join(lowers, ":")
	return nil
}

// template matches "{{ mount 0 }}/upper" and "{{ overlay 0 2 }}" of containerd's mount
// manager.
var template = regexp.MustCompile(`^\{\{\s*(mount|source|overlay)\s+(\d+)(?:\s+(\d+))?\s*\}\}(/[^{}]*)?$`)

// expand turns one part of lowerdir into places in the guest.
func (o *overlayBuilder) expand(part string) ([]string, error) {
	m := template.FindStringSubmatch(part)
	if !o.format || m == nil {
		return nil, fmt.Errorf("lowerdir %q of an overlay over disks names no disk: %w", part, errdefs.ErrNotImplemented)
	}
	first, err := strconv.Atoi(m[2])
	if err != nil {
		return nil, fmt.Errorf("lowerdir %q: %w: %w", part, err, errdefs.ErrInvalidArgument)
	}
	last := first
	if m[1] == "overlay" {
		if last, err = strconv.Atoi(m[3]); err != nil {
			return nil, fmt.Errorf("lowerdir %q: %w: %w", part, err, errdefs.ErrInvalidArgument)
		}
	}
	step := 1
	if last < first {
		step = -1
	}
	var places []string
	for i := first; ; i += step {
		if i >= len(o.disks) {
			return nil, fmt.Errorf("lowerdir %q names mount %d of %d: %w", part, i, len(o.disks), errdefs.ErrInvalidArgument)
		}
		places = append(places, path.Join(o.disks[i].GuestMount, m[4]))
		if i == last {
			return places, nil
		}
	}
}

// writable places upper and work: on a disk that the template names, else on
// the guest's tmpfs.
func (o *overlayBuilder) writable(value, name string) string {
	place := path.Join(containersDir, o.cid, name)
	if places, err := o.expand(value); err == nil && len(places) == 1 {
		place = places[0]
	}
	o.directories = append(o.directories, createDirectory+place)
	return place
}

func (o *overlayBuilder) guestOptions() []string {
	options := append([]string{"lowerdir=" + o.lower}, o.flags...)
	if o.upper != "" {
		options = append(options, "upperdir="+o.upper, "workdir="+o.work)
	}
	return options
}

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

// createDirectory is the agent's option to make a directory first.
const createDirectory = "io.katacontainers.volume.overlayfs.create_directory="

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
var template = regexp.MustCompile(`^\{\{\s*(mount|overlay)\s+(\d+)(?:\s+(\d+))?\s*\}\}(/[^{}]*)?$`)

// expand turns one part of lowerdir into places in the guest.
func (o *overlayBuilder) expand(part string) ([]string, error) {
	m := template.FindStringSubmatch(part)
	if !o.format || m == nil {
		return nil, fmt.Errorf("%q names no disk: %w", part, errdefs.ErrNotImplemented)
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
	if first >= len(o.disks) || last >= len(o.disks) {
		return nil, fmt.Errorf("%q names a mount beyond the %d that are given: %w", part, len(o.disks), errdefs.ErrInvalidArgument)
	}
	below := path.Join("/", m[4]) // ".." ends at the disk's root
	step := 1
	if last < first {
		step = -1
	}
	var places []string
	for i := first; ; i += step {
		places = append(places, path.Join(o.disks[i].GuestMount, below))
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

// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/containerd/errdefs"
)

// PlanMounts plans the mounts of container cid's spec. A mount that cannot reach
// the guest is errdefs.ErrNotImplemented and named, one that this VM cannot take
// errdefs.ErrFailedPrecondition, one that is wrong in itself
// errdefs.ErrInvalidArgument, one whose source is absent errdefs.ErrNotFound.
func PlanMounts(cid string, mounts []Mount, facts Facts, c Capabilities) (Plan, error) {
	if err := checkID(cid); err != nil {
		return Plan{}, err
	}
	p := planner{cid: cid, facts: facts, caps: c}
	for _, m := range mounts {
		if err := p.add(m); err != nil {
			return Plan{}, err
		}
	}
	return p.plan, nil
}

// planner collects the plan of one container.
type planner struct {
	cid   string
	facts Facts
	caps  Capabilities
	plan  Plan
	// mountsAt counts the mounts that have an entry, by destination.
	mountsAt map[string]int
}

// guestTypes are file systems that the guest's kernel provides by itself.
var guestTypes = [...]string{"proc", "sysfs", "tmpfs", "mqueue", "devpts", "cgroup", "cgroup2"}

// add places one mount.
func (p *planner) add(m Mount) error {
	if !path.IsAbs(m.Destination) || !utf8.ValidString(m.Destination) || strings.ContainsRune(m.Destination, 0) {
		return fmt.Errorf("mount destination %q is not an absolute path in UTF-8: %w", m.Destination, errdefs.ErrInvalidArgument)
	}
	if strings.ContainsRune(m.Source, 0) {
		return fmt.Errorf("mount source %q is no path: it holds a zero byte: %w", m.Source, errdefs.ErrInvalidArgument)
	}
	m.Destination = path.Clean(m.Destination)
	if err := errors.Join(checkDestination(m), checkIDMap(m)); err != nil {
		return err
	}
	if !isBind(m) {
		return p.addTyped(m)
	}
	if err := p.addBind(m); err != nil {
		return fmt.Errorf("mount %s from %s: %w", m.Destination, m.Source, err)
	}
	return nil
}

// addTyped places a mount that is no bind. The source of a file system that
// needs none is a word; a path there would be the host's.
func (p *planner) addTyped(m Mount) error {
	switch {
	case slices.Contains(guestTypes[:], m.Type):
		source := m.Source
		if strings.Contains(source, "/") || source == "" {
			source = m.Type
		}
		p.guest(m, m.Type, source, m.Options)
		return nil
	case slices.Contains(diskTypes[:], m.Type):
		return p.addDisk(m)
	}
	return fmt.Errorf("mount %s of type %q is not supported; supported are bind, %s, and the disks %s: %w", m.Destination,
		m.Type, strings.Join(guestTypes[:], ", "), strings.Join(diskTypes[:], ", "), errdefs.ErrNotImplemented)
}

// addDisk mounts a disk in the guest and binds it into the container.
func (p *planner) addDisk(m Mount) error {
	place := path.Join(containersDir, p.cid, "volumes", p.entry(m.Destination))
	d, err := disk(m, place, p.caps)
	if err != nil {
		return fmt.Errorf("mount %s: %w", m.Destination, err)
	}
	p.plan.Disks = append(p.plan.Disks, d)
	p.guest(m, "bind", place, bindOptions(d.ReadOnly))
	return nil
}

// addBind places a bind mount by what its source is.
func (p *planner) addBind(m Mount) error {
	var access Access
	access, m.Options = accessOf(m.Options)
	if done, err := p.addDev(m); done || err != nil {
		return err
	}
	fact, err := p.facts.Stat(m.Source)
	if err != nil {
		return err
	}
	switch fact.Kind {
	case BlockDevice:
		return p.addBlockDevice(m, fact)
	case File, Directory:
		return p.addFiles(m, fact, access)
	}
	return fmt.Errorf("a %s of the host cannot reach into a VM; remove the mount: %w", fact.Kind, errdefs.ErrNotImplemented)
}

// accessOf reads ro and rro of the options and returns those for the guest, where rro is ro: mounts of the host
// below a share come to the guest one by one, and the host is what keeps them from being written.
func accessOf(options []string) (Access, []string) {
	if hasOption(options, "rro") {
		return ReadOnlyBelow, append(without(without(options, "rro"), "ro"), "ro")
	}
	if hasOption(options, "ro") {
		return ReadOnly, options
	}
	return Writable, options
}

// without returns the options but one.
func without(options []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(options), func(o string) bool { return o == one })
}

// addFiles places a file or directory.
func (p *planner) addFiles(m Mount, fact Fact, access Access) error {
	switch {
	case isMemoryVolume(m.Source, fact):
		p.addMemoryVolume(m, fact)
		return nil
	case fact.Kind == File && fact.Size <= maxCopy && isEngineFile(m.Source):
		p.addEngineFile(m)
		return nil
	case p.caps.SharedFS:
		return p.addShare(m, fact, access)
	case fact.Kind == File && fact.Size <= maxCopy:
		p.addCopy(m)
		return nil
	case fact.Kind == File:
		return fmt.Errorf("the file has %d bytes, and shared_fs is \"none\", where files up to %d bytes are copied; "+
			"use shared_fs = \"virtio-fs\": %w", fact.Size, maxCopy, errdefs.ErrFailedPrecondition)
	}
	return fmt.Errorf("a directory needs a file system shared with the host, but shared_fs is \"none\"; "+
		"use shared_fs = \"virtio-fs\": %w", errdefs.ErrFailedPrecondition)
}

// maxCopy bounds a file that is copied, in bytes.
const maxCopy = 1 << 20

// addShare binds below the shared directory.
//
// Mounts of the host below a share are file systems of their own in the guest,
// to which its kernel gives the flags of the mount that they appear in. With ro
// on that one they could not be written, which ro does not ask for: there the
// host alone keeps the mount itself from being written.
func (p *planner) addShare(m Mount, fact Fact, access Access) error {
	if access == ReadOnly && fact.Kind == Directory && hasOption(m.Options, "rbind") {
		below, err := p.facts.MountsBelow(m.Source)
		if err != nil {
			return err
		}
		if below {
			m.Options = without(m.Options, "ro")
		}
	}
	name := p.entry(m.Destination)
	p.plan.Shares = append(p.plan.Shares, Share{
		Name: name, Source: m.Source, Directory: fact.Kind == Directory,
		Access: access, Recursive: hasOption(m.Options, "rbind"), IDMap: m.IDMap,
	})
	m.IDMap = IDMap{} // the host's part
	p.guest(m, "bind", path.Join(ShareMount, name), m.Options)
	return nil
}

// addCopy sends a file.
func (p *planner) addCopy(m Mount) {
	place := path.Join(ShareMount, p.entry(m.Destination))
	p.plan.Copies = append(p.plan.Copies, Copy{Source: m.Source, GuestPath: place, IDMap: m.IDMap})
	m.IDMap = IDMap{} // the copy has it
	p.guest(m, "bind", place, m.Options)
}

// entry names what is mounted at a destination. Mounts may lie on top of each
// other at one destination: each gets a name of its own.
func (p *planner) entry(destination string) string {
	if p.mountsAt == nil {
		p.mountsAt = map[string]int{}
	}
	p.mountsAt[destination]++
	return numberedName(p.cid, destination, p.mountsAt[destination])
}

// numberedName is "<cid>-<8 hex>-<basename>" for the n-th mount at a destination.
// The digits come from the destination, so that the plan is a function of its
// input.
func numberedName(cid, destination string, n int) string {
	key := cid + "\x00" + destination
	if n > 1 {
		key = fmt.Sprintf("%s\x00%d", key, n)
	}
	sum := sha256.Sum256([]byte(key))
	base := path.Base(destination)
	if base == "/" {
		base = "root"
	}
	base = strings.ToValidUTF8(base[:min(len(base), maxBase)], "")
	return cid + "-" + hex.EncodeToString(sum[:4]) + "-" + base
}

// maxBase keeps a name with an id of 200 bytes within the 255 of a file name.
const maxBase = 40

// guest adds to the guest's mounts.
func (p *planner) guest(m Mount, kind, source string, options []string) {
	p.plan.Mounts = append(p.plan.Mounts, GuestMount{
		Destination: m.Destination, Type: kind, Source: source, Options: slices.Clone(options), IDMap: m.IDMap,
	})
}

func bindOptions(readOnly bool) []string {
	if readOnly {
		return []string{"rbind", "ro"}
	}
	return []string{"rbind", "rw"}
}

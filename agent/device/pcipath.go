// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
)

// PCIPath is a device's place: the slot on the root bus, then the slot on the
// bus behind that bridge, and so on. Three or more written segments begin with
// the number of the root complex's bus.
type PCIPath struct {
	root  int
	slots []slot
}

type slot struct{ device, function int }

// ParsePCIPath reads a path such as "02/00": hexadecimal slots joined by
// slashes, each with an optional function ("02.1").
func ParsePCIPath(text string) (PCIPath, error) {
	bad := func(why string) (PCIPath, error) {
		return PCIPath{}, fmt.Errorf("%q is not a PCI path, %s: %w", text, why, errdefs.ErrInvalidArgument)
	}
	parts := strings.Split(text, "/")
	var p PCIPath
	if len(parts) >= 3 {
		n, err := strconv.ParseUint(parts[0], 16, 8)
		if err != nil {
			return bad("its root bus is not a number of two hexadecimal digits")
		}
		p.root, parts = int(n), parts[1:]
	}
	for _, part := range parts {
		dev, fn, hasFn := strings.Cut(part, ".")
		d, err := strconv.ParseUint(dev, 16, 8)
		if err != nil || d > 0x1f {
			return bad("a slot is 00 to 1f")
		}
		s := slot{device: int(d)}
		if hasFn {
			f, err := strconv.ParseUint(fn, 16, 8)
			if err != nil || f > 7 {
				return bad("a function is 0 to 7")
			}
			s.function = int(f)
		}
		p.slots = append(p.slots, s)
	}
	return p, nil
}

// PCIPathOf returns the path of slots on nested buses.
func PCIPathOf(slots []uint32) (PCIPath, error) {
	var p PCIPath
	for _, s := range slots {
		if s > 0x1f {
			return PCIPath{}, fmt.Errorf("%#x is not a PCI slot, 0 to 0x1f are: %w", s, errdefs.ErrInvalidArgument)
		}
		p.slots = append(p.slots, slot{device: int(s)})
	}
	if len(p.slots) == 0 {
		return PCIPath{}, fmt.Errorf("a PCI path has a slot: %w", errdefs.ErrInvalidArgument)
	}
	return p, nil
}

// String writes the path as it is read.
func (p PCIPath) String() string {
	var parts []string
	if p.root != 0 || len(p.slots) > 2 {
		parts = append(parts, fmt.Sprintf("%02x", p.root))
	}
	for _, s := range p.slots {
		part := fmt.Sprintf("%02x", s.device)
		if s.function != 0 {
			part += fmt.Sprintf(".%x", s.function)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "/")
}

// sysfs returns the device's directory below sys, the mount point of sysfs. It
// is fs.ErrNotExist while the device or a bridge before it is not there.
func (p PCIPath) sysfs(sys string) (string, error) {
	bus := fmt.Sprintf("0000:%02x", p.root)
	dir := filepath.Join(sys, "devices", "pci"+bus)
	for i, s := range p.slots {
		if i > 0 {
			var err error
			if bus, err = only(filepath.Join(dir, "pci_bus")); err != nil {
				return "", fmt.Errorf("find the bus behind a bridge of PCI path %s: %w", p, err)
			}
		}
		dir = filepath.Join(dir, fmt.Sprintf("%s:%02x.%d", bus, s.device, s.function))
	}
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("find the device at PCI path %s: %w", p, err)
	}
	return dir, nil
}

// only returns the name of a directory's single entry.
func only(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("list a directory of sysfs: %w", err)
	}
	if len(entries) == 0 {
		return "", fmt.Errorf("%s is empty: %w", dir, fs.ErrNotExist)
	}
	return entries[0].Name(), nil
}

// missing reports whether a search failed only because something is not there
// yet.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Finder finds devices of the guest.
type Finder struct {
	Hub *Hub
	// Sys and Dev are where sysfs and the device nodes are.
	Sys, Dev string
	// Timeout bounds the wait for one device.
	Timeout time.Duration
}

// Number is a device's number.
type Number struct{ Major, Minor uint32 }

func (f *Finder) await(ctx context.Context, find func() (string, error)) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.Timeout,
		fmt.Errorf("%s without it, see agent.hotplug_timeout: %w", f.Timeout, context.DeadlineExceeded))
	defer cancel()
	return Await(ctx, f.Hub, find)
}

// Block waits for the block device at a PCI path and returns its node.
func (f *Finder) Block(ctx context.Context, p PCIPath) (string, error) {
	name, err := f.await(ctx, func() (string, error) {
		return f.child(p, "virtio*/block/*", "block/*", "nvme/*/nvme*n*", "ata*/host*/target*/*/block/*", "host*/target*/*/block/*")
	})
	if err != nil {
		return "", fmt.Errorf("find the disk at PCI path %s: %w", p, err)
	}
	return f.Node(ctx, filepath.Join(f.Dev, name))
}

// Link waits for the network interface at a PCI path and returns its name.
func (f *Finder) Link(ctx context.Context, p PCIPath) (string, error) {
	name, err := f.await(ctx, func() (string, error) { return f.child(p, "virtio*/net/*", "net/*") })
	if err != nil {
		return "", fmt.Errorf("find the network interface at PCI path %s: %w", p, err)
	}
	return name, nil
}

// Share waits for the virtio-fs device of a tag. A kernel without
// /sys/fs/virtiofs (Linux before 6.9) cannot be asked; there nothing is waited for.
func (f *Finder) Share(ctx context.Context, tag string) error {
	dir := filepath.Join(f.Sys, "fs/virtiofs")
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	_, err := f.await(ctx, func() (string, error) { return tagged(dir, tag) })
	if err != nil {
		return fmt.Errorf("find the shared file system %s: %w", tag, err)
	}
	return nil
}

// tagged returns the file in a directory of dir that says tag.
func tagged(dir, tag string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "tag"))
	if err != nil {
		return "", fmt.Errorf("search %s: %w", dir, err)
	}
	for _, file := range files {
		// One that cannot be read is on its way out.
		if text, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(text)) == tag {
			return file, nil
		}
	}
	return "", fmt.Errorf("no device has the tag %s yet: %w", tag, os.ErrNotExist)
}

// SCSI waits for the disk with a SCSI id and LUN and returns its node.
func (f *Finder) SCSI(ctx context.Context, id, lun int) (string, error) {
	name, err := f.await(ctx, func() (string, error) {
		return first(filepath.Join(f.Sys, "bus/scsi/devices", fmt.Sprintf("*:*:%d:%d", id, lun), "block/*"))
	})
	if err != nil {
		return "", fmt.Errorf("find the SCSI disk %d:%d: %w", id, lun, err)
	}
	return f.Node(ctx, filepath.Join(f.Dev, name))
}

// Node waits until the node of a device is there, and can be opened if it is
// that of a disk, and returns its path.
func (f *Finder) Node(ctx context.Context, path string) (string, error) {
	return f.await(ctx, func() (string, error) {
		info, err := os.Stat(path)
		if err != nil {
			return "", fmt.Errorf("find the device node: %w", err)
		}
		if info.Mode().Type() == os.ModeDevice {
			err = opens(path)
		}
		return path, err
	})
}

// opens tries a disk. The kernel makes the node of a disk first and the disk
// behind it after that, and then sends the uevent; in between it answers ENXIO.
func opens(path string) error {
	disk, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("the kernel has no disk behind its node yet: %w: %w", err, os.ErrNotExist)
	}
	if err != nil {
		return fmt.Errorf("open the disk: %w", err)
	}
	return disk.Close()
}

// child returns the name of the first thing below the device that matches one
// of the patterns.
func (f *Finder) child(p PCIPath, patterns ...string) (string, error) {
	dir, err := p.sysfs(f.Sys)
	if err != nil {
		return "", err
	}
	for _, pattern := range patterns {
		if name, err := first(filepath.Join(dir, pattern)); err == nil {
			return name, nil
		}
	}
	return "", fmt.Errorf("no driver has taken the device %s yet: %w", filepath.Base(dir), os.ErrNotExist)
}

func first(pattern string) (string, error) {
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return "", fmt.Errorf("search sysfs for %s: %w", pattern, err)
	}
	if len(matches) == 0 {
		return "", fmt.Errorf("nothing at %s: %w", pattern, os.ErrNotExist)
	}
	return filepath.Base(matches[0]), nil
}

// NumberOf returns the number of the device node at path, and whether it is a
// block device ("b") or a character device ("c").
func NumberOf(path string) (Number, string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return Number{}, "", fmt.Errorf("read the number of device %s: %w", path, err)
	}
	n := Number{Major: unix.Major(st.Rdev), Minor: unix.Minor(st.Rdev)}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFBLK:
		return n, "b", nil
	case unix.S_IFCHR:
		return n, "c", nil
	}
	return Number{}, "", fmt.Errorf("%s is no device", path)
}

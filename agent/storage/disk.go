// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/agent/device"
)

// disk mounts the block device that locate finds. Without a file system type
// the disk is only waited for: it is a raw volume.
func (m *Manager) disk(locate func(context.Context, string) (string, error)) driver {
	return func(ctx context.Context, r request) (func() error, error) {
		if i := slices.IndexFunc(r.DriverOptions, isEncryption); i >= 0 {
			return nil, fmt.Errorf("the guest cannot encrypt disks, as the driver option %q asks: %w", r.DriverOptions[i], errdefs.ErrNotImplemented)
		}
		node, err := locate(ctx, r.Source)
		if err != nil {
			return nil, err
		}
		if r.Fstype == "" || r.MountPoint == "" {
			return func() error { return nil }, nil
		}
		if slices.Contains(r.DriverOptions, createFilesystem) {
			if err := m.format(ctx, node, r.Fstype); err != nil {
				return nil, err
			}
		}
		return mount(node, r.MountPoint, r.Fstype, parseOptions(r.Options))
	}
}

// createFilesystem asks for an empty file system in place of what is on the
// disk.
const createFilesystem = "create_filesystem"

func isEncryption(option string) bool { return strings.HasPrefix(option, "encryption_key=") }

// format makes an empty ext4 file system, without a journal: the disk lives no
// longer than the pod.
func (m *Manager) format(ctx context.Context, node, fstype string) error {
	if fstype != "ext4" {
		return fmt.Errorf("make a file system on %s: only ext4 can be made, not %q: %w", node, fstype, errdefs.ErrNotImplemented)
	}
	cmd := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=1", node)
	if errors.Is(cmd.Err, exec.ErrNotFound) {
		return fmt.Errorf("the guest's image has no mkfs.ext4: %w", errdefs.ErrNotImplemented)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	code, err := m.runner.RunCommand(cmd)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("mkfs.ext4 on %s ended with %d: %s", node, code, strings.TrimSpace(out.String()))
	}
	return nil
}

// blk finds a virtio-blk disk by PCI path, or waits for a node.
func (m *Manager) blk(ctx context.Context, source string) (string, error) {
	if strings.HasPrefix(source, "/dev/") {
		return m.node(ctx, source)
	}
	p, err := device.ParsePCIPath(source)
	if err != nil {
		return "", err
	}
	return m.finder.Block(ctx, p)
}

// node waits for a device node.
func (m *Manager) node(ctx context.Context, source string) (string, error) {
	if !strings.HasPrefix(source, "/dev/") {
		return "", fmt.Errorf("the source %q is not a device in /dev: %w", source, errdefs.ErrInvalidArgument)
	}
	return m.finder.Node(ctx, source)
}

// scsi finds a disk by "id:lun".
func (m *Manager) scsi(ctx context.Context, source string) (string, error) {
	id, lun, err := parseSCSI(source)
	if err != nil {
		return "", err
	}
	return m.finder.SCSI(ctx, id, lun)
}

func parseSCSI(source string) (id, lun int, err error) {
	a, b, ok := strings.Cut(source, ":")
	if ok {
		if id, err = strconv.Atoi(a); err == nil {
			lun, err = strconv.Atoi(b)
		}
	}
	if !ok || err != nil {
		return 0, 0, fmt.Errorf("the source %q is not a SCSI id and LUN (id:lun): %w", source, errdefs.ErrInvalidArgument)
	}
	return id, lun, nil
}

// Device finds the node of a device of the wire by its type.
func (m *Manager) Device(ctx context.Context, kind, id, path string) (string, error) {
	source := path
	if source == "" {
		source = id
	}
	switch kind {
	case "blk":
		return m.blk(ctx, source)
	case "mmioblk", "nvdimm":
		return m.node(ctx, source)
	case "scsi":
		return m.scsi(ctx, source)
	}
	return "", fmt.Errorf("no device type %q, there are %q: %w", kind, DeviceTypes(), errdefs.ErrInvalidArgument)
}

// DeviceTypes returns the device types that Device knows.
func DeviceTypes() []string { return []string{"blk", "mmioblk", "nvdimm", "scsi"} }

// readUint reads a number from a file of the kernel's.
func readUint(path string) (uint64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read a number of the kernel's: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read a number from %s: %w", path, err)
	}
	return n, nil
}

// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/hypervisor"
)

// imageID is the id of the root image among the disks.
const imageID = "image"

// diskFile is a disk's file as QEMU knows it.
type diskFile struct {
	// driver is QEMU's, "file" or "host_device".
	driver string
	// name is that of the set that the descriptor is in.
	name string
}

// setName is under which name QEMU opens a descriptor that is in a set.
func setName(set int) string { return "/dev/fdset/" + strconv.Itoa(set) }

// openFiles opens what QEMU works with, and connects to the daemons of shares. QEMU
// has not the right to.
func (r *resources) openFiles(ctx context.Context, cfg hypervisor.Config) error {
	source := entropySource(cfg)
	entropy, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("open the source of the guest's random numbers: %w", err)
	}
	r.in.entropy = setName(r.giveSet(entropy))
	disks := cfg.Disks
	if cfg.Image != "" {
		disks = append([]hypervisor.Disk{{ID: imageID, Path: cfg.Image, ReadOnly: true}}, disks...)
	}
	for _, d := range disks {
		f, driver, err := openDisk(d)
		if err != nil {
			return fmt.Errorf("disk %s: %w", d.ID, err)
		}
		r.in.disks[d.ID] = diskFile{driver: driver, name: setName(r.giveSet(f))}
	}
	for _, s := range cfg.Shares {
		daemon, err := connect(ctx, s)
		if err != nil {
			return err
		}
		r.in.shares[s.Tag] = r.give(daemon)
	}
	return nil
}

// giveSet hands f to QEMU in a set of its own, whose number it returns.
func (r *resources) giveSet(f *os.File) int {
	fd := r.give(f)
	r.in.sets = append(r.in.sets, fd)
	return fd
}

// openDisk opens the file of a disk, for reading only if the disk is, and tells
// QEMU's driver for it. Opening anything but a file or a block device, a FIFO say,
// neither waits nor succeeds.
func openDisk(d hypervisor.Disk) (_ *os.File, driver string, err error) {
	flags := unix.O_CLOEXEC | unix.O_NONBLOCK
	if d.ReadOnly {
		flags |= unix.O_RDONLY
	} else {
		flags |= unix.O_RDWR
	}
	fd, err := unix.Open(d.Path, flags, 0)
	if err != nil {
		return nil, "", missing("its file", d.Path, &fs.PathError{Op: "open", Path: d.Path, Err: err}, "the snapshotter or volume plug-in that made it must keep it")
	}
	f := os.NewFile(uintptr(fd), d.Path)
	info, err := f.Stat()
	if err == nil {
		driver, err = driverFor(d.Path, info)
	}
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return f, driver, nil
}

// connect connects to the daemon of a share, which listens already.
func connect(ctx context.Context, s hypervisor.Share) (*os.File, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", s.Socket)
	if err != nil {
		return nil, fmt.Errorf("connect to the daemon of share %s: %w", s.Tag, err)
	}
	defer conn.Close() // File has a copy.
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("connect to the daemon of share %s: its socket is no unix socket", s.Tag)
	}
	f, err := unixConn.File()
	if err != nil {
		return nil, fmt.Errorf("connect to the daemon of share %s: %w", s.Tag, err)
	}
	return f, nil
}

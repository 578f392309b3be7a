// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// sysVirtioPorts lists the virtio-serial ports, each with its name in a file.
const sysVirtioPorts = "/sys/class/virtio-ports"

// maxEvent bounds a kernel event; the kernel's own bound is two KiB
// (UEVENT_BUFFER_SIZE) and a header.
const maxEvent = 8 << 10

// findSerialPort returns the device file of the port with the given name, from
// a sysfs directory. The error is ErrNotFound when there is none.
func findSerialPort(sys, name string) (string, error) {
	// No udev runs in the guest, so /dev/virtio-ports need not be there.
	files, err := filepath.Glob(filepath.Join(sys, "*", "name"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err == nil && strings.TrimSpace(string(b)) == name {
			return "/dev/" + filepath.Base(filepath.Dir(file)), nil
		}
	}
	return "", fmt.Errorf("no virtio-serial port is named %s: %w: does the VMM give the VM one?",
		name, errdefs.ErrNotFound)
}

// awaitSerialPort waits for a port to appear: the kernel names ports some time
// after it has found their device.
func awaitSerialPort(ctx context.Context, name string) (string, error) {
	events, err := openEvents()
	if err != nil {
		return "", fmt.Errorf("watch for the virtio-serial port %s: %w", name, err)
	}
	defer events.Close()
	stop := context.AfterFunc(ctx, func() { _ = events.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	// Look only once events are being kept, so that none falls between.
	for {
		path, err := findSerialPort(sysVirtioPorts, name)
		if err == nil || !errdefs.IsNotFound(err) {
			return path, err
		}
		if werr := awaitEvent(events, "virtio-ports"); werr != nil {
			if cause := context.Cause(ctx); cause != nil {
				return "", fmt.Errorf("%w (%w)", err, cause)
			}
			return "", fmt.Errorf("watch for the virtio-serial port %s: %w", name, werr)
		}
	}
}

// openEvents opens a netlink socket of the kernel's device events, see
// netlink(7), NETLINK_KOBJECT_UEVENT. Group 1 is the kernel's.
func openEvents() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK,
		unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return os.NewFile(uintptr(fd), "kernel events"), nil
}

// awaitEvent blocks until an event of the subsystem comes.
func awaitEvent(events *os.File, subsystem string) error {
	b := make([]byte, maxEvent)
	for {
		n, err := events.Read(b)
		if errors.Is(err, unix.ENOBUFS) { // events were lost: anything may have come
			return nil
		}
		if err != nil {
			return err
		}
		if bytes.Contains(b[:n], []byte("SUBSYSTEM="+subsystem+"\x00")) {
			return nil
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// vsockDevice makes AF_VSOCK ends for VMs.
const vsockDevice = "/dev/vhost-vsock"

// vhostVsockSetGuestCID is VHOST_VSOCK_SET_GUEST_CID of linux/vhost.h,
// _IOW(0xAF, 0x60, __u64).
const vhostVsockSetGuestCID = 0x4008af60

// Context ids 0 to 2 and the highest are reserved (man 7 vsock). QEMU takes 31
// bits, so that the id is positive for every tool.
const (
	firstCID = 3
	lastCID  = 1<<31 - 1
)

// openVsock opens the device at path and claims a free context id. The claim
// lasts as long as the device is open. A host without the device is no error:
// the file is nil.
func openVsock(ctx context.Context, path string) (*os.File, uint32, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open the vsock device: %w", err)
	}
	for ctx.Err() == nil {
		cid, err := randomCID()
		if err != nil {
			return nil, 0, errors.Join(err, f.Close())
		}
		err = setGuestCID(f, cid)
		if err == nil {
			return f, cid, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			return nil, 0, errors.Join(fmt.Errorf("claim vsock context id %d: %w", cid, err), f.Close())
		}
	}
	return nil, 0, errors.Join(fmt.Errorf("find a free vsock context id: %w", ctx.Err()), f.Close())
}

func randomCID() (uint32, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("draw a vsock context id: %w", err)
	}
	return uint32(firstCID + binary.NativeEndian.Uint64(b[:])%(lastCID-firstCID)), nil
}

func setGuestCID(f *os.File, cid uint32) error {
	value := uint64(cid)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), vhostVsockSetGuestCID, uintptr(unsafe.Pointer(&value)))
	if errno != 0 {
		return errno
	}
	return nil
}

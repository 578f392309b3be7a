// SPDX-License-Identifier: Apache-2.0

package guestos

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// SetClock sets the guest's clock.
func SetClock(sec, usec int64) error {
	if sec < 0 || usec < 0 || usec >= 1_000_000 {
		return fmt.Errorf("%d s and %d µs are no time: %w", sec, usec, errdefs.ErrInvalidArgument)
	}
	tv := unix.Timeval{Sec: sec, Usec: usec}
	if err := unix.Settimeofday(&tv); err != nil {
		return fmt.Errorf("set the guest's clock: %w", err)
	}
	return nil
}

// Requests of random(4), from the kernel's include/uapi/linux/random.h.
const (
	rndAddEntropy = 0x40085203
	rndReseedCRNG = 0x5207
)

// maxSeed bounds a seed; the kernel's pool holds 32 bytes.
const maxSeed = 4096

// Reseed adds the host's randomness to the kernel's and makes the kernel's
// generator use it from now on.
func Reseed(seed []byte) error {
	if len(seed) == 0 || len(seed) > maxSeed {
		return fmt.Errorf("a seed has 1 to %d bytes, not %d: %w", maxSeed, len(seed), errdefs.ErrInvalidArgument)
	}
	f, err := os.OpenFile("/dev/random", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open the random device: %w", err)
	}
	defer func() { _ = f.Close() }()
	// struct rand_pool_info: bits of entropy, bytes, then the bytes.
	info := binary.NativeEndian.AppendUint32(nil, uint32(len(seed)*8))
	info = binary.NativeEndian.AppendUint32(info, uint32(len(seed)))
	info = append(info, seed...)
	if err := ioctl(f, rndAddEntropy, unsafe.Pointer(&info[0])); err != nil {
		return fmt.Errorf("add the host's randomness: %w", err)
	}
	if err := ioctl(f, rndReseedCRNG, nil); err != nil {
		return fmt.Errorf("reseed the random generator: %w", err)
	}
	return nil
}

func ioctl(f *os.File, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

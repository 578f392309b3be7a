// SPDX-License-Identifier: Apache-2.0

package guestos

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SwapOn lets the guest swap to a device that holds a swap area.
func SwapOn(path string) error {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return fmt.Errorf("swap to %q: %w", path, err)
	}
	_, _, errno := unix.Syscall(unix.SYS_SWAPON, uintptr(unsafe.Pointer(name)), 0, 0)
	if errno == unix.EBUSY && inUse("/proc/swaps", path) {
		return nil
	}
	if errors.Is(errno, unix.EINVAL) {
		return fmt.Errorf("swap to %s: it holds no swap area (mkswap makes one): %w", path, errno)
	}
	if errno != 0 {
		return fmt.Errorf("swap to %s: %w", path, errno)
	}
	return nil
}

// inUse reports whether a table in the form of /proc/swaps has the path.
func inUse(table, path string) bool {
	data, err := os.ReadFile(table)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if words := strings.Fields(line); len(words) > 0 && words[0] == path {
			return true
		}
	}
	return false
}

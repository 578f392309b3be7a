// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// shareReadAhead is how much of a shared file the kernel reads before it is asked
// for, in KiB. Each request goes through the VMM to a process of the host and back;
// under translation a file was read at 230 MB/s with the kernel's own 128 KiB and
// at 480 with this, and no faster with more.
const shareReadAhead = 512

// readAhead sets it for a file system without a disk, by the directory of its
// backing device (Documentation/ABI/testing/sysfs-class-bdi). File systems mounted
// below it by the daemon's announcement have the same one.
func readAhead(sys, mountPoint string, kib int) error {
	var st unix.Stat_t
	if err := unix.Stat(mountPoint, &st); err != nil {
		return fmt.Errorf("find the device of %s: %w", mountPoint, err)
	}
	device := fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	knob := filepath.Join(sys, "class/bdi", device, "read_ahead_kb")
	if err := os.WriteFile(knob, []byte(strconv.Itoa(kib)), 0); err != nil {
		return fmt.Errorf("have %s read ahead by %d KiB: %w", mountPoint, kib, err)
	}
	return nil
}

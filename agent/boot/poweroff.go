// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// PowerOff writes what is in memory to the disks and ends the guest. It returns
// only on error.
func PowerOff() error {
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		return fmt.Errorf("power the guest off: %w", err)
	}
	return nil
}

// CatchCtrlAltDel makes the kernel tell PID 1 of ctrl-alt-del by SIGINT instead
// of rebooting at once.
func CatchCtrlAltDel() error {
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF); err != nil {
		return fmt.Errorf("catch ctrl-alt-del: %w", err)
	}
	return nil
}

// Say writes a line straight to the guest's console, past the log and its
// level. The console may be missing; then there is nobody to tell.
func Say(line string) {
	console, err := os.OpenFile("/dev/console", os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		console = os.Stderr
	}
	_, _ = fmt.Fprintf(console, "kata-agent: %s\r\n", line)
}

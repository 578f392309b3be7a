// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"os"
	"strings"
)

// hostClock is the file that names what the host's kernel tells the time by.
const hostClock = "/sys/devices/system/clocksource/clocksource0/current_clocksource"

// steadyTSC tells whether the host tells the time by its time stamp counter. Its kernel
// watches the counter, and stops using one that is not the same on all processors or
// changes its speed. A host that does not say is taken to have another clock.
func steadyTSC() bool {
	name, err := os.ReadFile(hostClock)
	return err == nil && strings.TrimSpace(string(name)) == "tsc"
}

// SPDX-License-Identifier: Apache-2.0

package virtiofsd

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// children lists the child processes that pid's main thread has now
// (man 5 proc, /proc/pid/task/tid/children). A process that is gone has none.
func children(pid int) []int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var pids []int
	for _, word := range strings.Fields(string(b)) {
		if n, err := strconv.Atoi(word); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

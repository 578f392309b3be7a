// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// maxOOMScore is the highest oom_score_adj there is (proc(5)).
const maxOOMScore = 1000

// adjustOOMScore makes the kernel end the shim before containerd, which is our
// parent, by a score that is higher by one.
func adjustOOMScore(pid int) error {
	path := func(pid int) string { return fmt.Sprintf("/proc/%d/oom_score_adj", pid) }
	text, err := os.ReadFile(path(os.Getppid()))
	if err != nil {
		return fmt.Errorf("read containerd's out-of-memory score: %w", err)
	}
	score, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("read containerd's out-of-memory score: %w", err)
	}
	score = min(score+1, maxOOMScore)
	if err := os.WriteFile(path(pid), []byte(strconv.Itoa(score)), 0); err != nil {
		return fmt.Errorf("set the shim's out-of-memory score to %d: %w", score, err)
	}
	return nil
}

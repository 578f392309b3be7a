// SPDX-License-Identifier: Apache-2.0

package accel

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
)

// virtualizationFlag returns "vmx" (Intel) or "svm" (AMD) if the first
// processor in the cpuinfo file at path has it, and otherwise "".
func virtualizationFlag(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the processor's flags: %w", err)
	}
	defer f.Close() // Read only: nothing to lose.
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(key) != "flags" {
			continue
		}
		flags := strings.Fields(value)
		for _, flag := range []string{"vmx", "svm"} {
			if slices.Contains(flags, flag) {
				return flag, nil
			}
		}
		return "", nil
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("read the processor's flags: %w", err)
	}
	return "", nil
}

// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	"maps"
	"strconv"
	"strings"
)

// countCPUs counts the CPUs of a list such as "0-3,7", each once. A list that is not
// valid counts 0: the host's kernel refuses it with a better error when it is set.
func countCPUs(list string) int {
	seen := map[uint16]bool{}
	for part := range strings.SplitSeq(list, ",") {
		set, ok := cpuRange(strings.TrimSpace(part))
		if !ok {
			return 0
		}
		maps.Copy(seen, set)
	}
	return len(seen)
}

// cpuRange reads one part of a list: "7", or "0-3".
func cpuRange(part string) (map[uint16]bool, bool) {
	first, last, isRange := strings.Cut(part, "-")
	a, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return nil, false
	}
	b := a
	if isRange {
		if b, err = strconv.ParseUint(last, 10, 16); err != nil || b < a {
			return nil, false
		}
	}
	set := map[uint16]bool{}
	for n := a; n <= b; n++ {
		set[uint16(n)] = true
	}
	return set, true
}

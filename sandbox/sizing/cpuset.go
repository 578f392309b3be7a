// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	"strconv"
	"strings"
)

// countCPUs counts the CPUs of a list such as "0-3,7". A list that is not valid
// counts 0: the host's kernel refuses it with a better error when it is set.
func countCPUs(list string) int {
	total := 0
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			return 0
		}
		b := a
		if isRange {
			if b, err = strconv.ParseUint(last, 10, 16); err != nil || b < a {
				return 0
			}
		}
		total += int(b-a) + 1
	}
	return total
}

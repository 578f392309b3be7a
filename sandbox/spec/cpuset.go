// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"strconv"
	"strings"
)

// fits tells whether every number of a list such as "0-3,7" is below count. An
// empty or malformed list does not fit.
func fits(list string, count int) bool {
	for part := range strings.SplitSeq(list, ",") {
		a, b, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			b = a
		}
		first, err := strconv.ParseUint(a, 10, 31)
		if err != nil {
			return false
		}
		last, err := strconv.ParseUint(b, 10, 31)
		if err != nil || last < first || int(last) >= count {
			return false
		}
	}
	return true
}

// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strconv"
	"strings"
)

// UserRange are user ids, and group ids of the same numbers.
type UserRange struct{ First, Last int }

// String is as the configuration has it.
func (r UserRange) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

// defaultVMMUsers are ids that no distribution, no systemd and no container engine gives
// to anything else: systemd's own end at 1879048191.
const defaultVMMUsers = "1900000000-1900065535"

// greatestUser is the greatest id that every tool takes for a positive number.
const greatestUser = 1<<31 - 2

// Users is VMMUsers, which was checked when it was loaded.
func (h Hypervisor) Users() UserRange {
	r, _ := parseUsers(h.VMMUsers)
	return r
}

// parseUsers reads "first-last".
func parseUsers(text string) (UserRange, bool) {
	first, last, found := strings.Cut(text, "-")
	var r UserRange
	var errs [2]error
	r.First, errs[0] = strconv.Atoi(first)
	r.Last, errs[1] = strconv.Atoi(last)
	if !found || errs[0] != nil || errs[1] != nil || r.First < 1 || r.Last <= r.First || r.Last > greatestUser {
		return UserRange{}, false
	}
	return r, true
}

// userRange is the rule about such a text.
func userRange(key, value string) check {
	_, ok := parseUsers(value)
	return check{key, value, ok, fmt.Sprintf("a range of at least two user ids, \"first-last\", from 1 to %d", greatestUser)}
}

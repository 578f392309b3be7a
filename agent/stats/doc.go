// SPDX-License-Identifier: Apache-2.0

// Package stats reads the numbers of cgroup v2 into the wire's form, which is
// that of cgroup v1: times are in nanoseconds, "no limit" is the largest number,
// and what v2 does not count is zero. It also counts the guest's network and
// writes the agent's metrics as text.
package stats

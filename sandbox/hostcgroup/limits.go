// SPDX-License-Identifier: Apache-2.0

package hostcgroup

// Limits are what a group may use. A zero field leaves the kernel's value, for
// a new group "no limit", as it is.
type Limits struct {
	// CPUQuota is the CPU time in microseconds per CPUPeriod; -1 lifts the
	// limit. CPUPeriod is in microseconds, 0 for the kernel's 100000.
	CPUQuota  int64
	CPUPeriod uint64
	// CPUShares is the weight in cgroup v1's units, 2 to 262144.
	CPUShares uint64
	// MemoryBytes is the limit in bytes; -1 lifts it.
	MemoryBytes int64
	// Cpus and Mems are lists such as "0-3,7".
	Cpus, Mems string
	// Pids is the number of tasks; -1 lifts the limit.
	Pids int64
}

// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	"math"
	"strings"
)

// Sum is what containers that run at the same time may use together. Limits add up;
// a container without one adds nothing, since it has its part of what the guest has
// besides. Quotas are brought to one period. A container without a quota counts with
// its cpuset when none of them has a quota.
func Sum(containers ...Request) Request {
	var total Request
	var cpusets []string
	for _, c := range containers {
		total.MemoryBytes = addUp(total.MemoryBytes, c.MemoryBytes)
		total.CPUShares += c.CPUShares
		if c.CPUQuota > 0 {
			total.CPUPeriod = defaultPeriod
			total.CPUQuota = addUp(total.CPUQuota, c.perDefaultPeriod())
		}
		if c.Cpuset != "" {
			cpusets = append(cpusets, c.Cpuset)
		}
	}
	total.Cpuset = strings.Join(cpusets, ",")
	return total
}

// perDefaultPeriod is the quota for the default period, rounded up.
func (r Request) perDefaultPeriod() int64 {
	if r.CPUPeriod == 0 || r.CPUPeriod == defaultPeriod {
		return r.CPUQuota
	}
	scaled := math.Ceil(float64(r.CPUQuota) / float64(r.CPUPeriod) * defaultPeriod)
	if scaled >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(scaled)
}

// addUp adds a limit, of which 0 and less are none, and stays at the most there is.
func addUp(total, limit int64) int64 {
	if limit <= 0 {
		return total
	}
	if total > math.MaxInt64-limit {
		return math.MaxInt64
	}
	return total + limit
}

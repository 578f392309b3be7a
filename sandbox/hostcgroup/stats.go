// SPDX-License-Identifier: Apache-2.0

package hostcgroup

import (
	stats1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	stats2 "github.com/containerd/cgroups/v3/cgroup2/stats"
)

// Stats are what a group used so far, in containerd's metrics types; exactly one
// field is set, by the host's mode.
type Stats struct {
	V1 *stats1.Metrics
	V2 *stats2.Metrics
}

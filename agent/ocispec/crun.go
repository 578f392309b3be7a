// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// crun 1.8 does not know all of the specification, and says nothing about what
// it does not know. What it can do under another name is renamed here; package
// container does the rest.

// annotationTime is crun's name for linux.timeOffsets (crun(1)). Its value is
// what the kernel takes in /proc/PID/timens_offsets, see time_namespaces(7).
const annotationTime = "run.oci.timens_offset"

func renameForCrun(spec *specs.Spec) {
	moveBurst(spec.Linux.Resources)
	if len(spec.Linux.TimeOffsets) == 0 {
		return
	}
	var lines []string
	for _, clock := range slices.Sorted(maps.Keys(spec.Linux.TimeOffsets)) {
		o := spec.Linux.TimeOffsets[clock]
		lines = append(lines, fmt.Sprintf("%s %d %d", clock, o.Secs, o.Nanosecs))
	}
	spec.Annotations = maps.Clone(spec.Annotations)
	if spec.Annotations == nil {
		spec.Annotations = map[string]string{}
	}
	spec.Annotations[annotationTime] = strings.Join(lines, "\n")
}

// moveBurst makes cpu.burst the file of cgroup v2 that it is.
func moveBurst(r *specs.LinuxResources) {
	if r == nil || r.CPU == nil || r.CPU.Burst == nil {
		return
	}
	unified := map[string]string{"cpu.max.burst": strconv.FormatUint(*r.CPU.Burst, 10)}
	maps.Copy(unified, r.Unified)
	r.Unified = unified
}

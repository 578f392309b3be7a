// SPDX-License-Identifier: Apache-2.0

// Package metrics turns the agent's counters into containerd's metrics types.
//
// An engine looks for the type of its host's cgroup mode, while the guest has
// cgroup v2 only. So the counters of the guest's kernel are given the names of
// v1 where the host has v1; the meanings are those of the kernel's
// cgroup-v1/memory and cgroup-v2 documents.
package metrics

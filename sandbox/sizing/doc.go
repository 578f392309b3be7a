// SPDX-License-Identifier: Apache-2.0

// Package sizing computes what a VM gets, and what the pod's cgroup on the host
// allows it. It is arithmetic: no file is read and nothing is remembered.
//
// # The VM
//
//	what    | rule
//	--------+------------------------------------------------------------------
//	vCPUs   | default_vcpus + ceil(quota / period), at most default_maxvcpus and
//	        | the host's CPUs, at least 1. Without a quota, a cpuset of the
//	        | container counts its CPUs. Shares are a weight and add nothing.
//	memory  | default_memory + the memory limit, rounded up to blocks of 128
//	        | MiB, in which a guest takes memory. More than default_maxmemory
//	        | or the host has is an error: a VM that cannot hold its containers
//	        | would kill them later without a reason.
//	queues  | one pair per vCPU, at most 8.
//
// default_vcpus < 0 means the host's CPUs; default_maxvcpus = 0 and
// default_maxmemory = 0 mean what the host has. A period of 0 is the kernel's
// default of 100 ms.
//
// default_vcpus and default_memory are what the guest's kernel, the agent and
// containers without limits live on; containers with limits get theirs on top.
//
// # A VM that runs
//
// Its memory grows, to what a VM for the containers that run now would start with,
// once their limits together are more than the guest can hold beside its kernel; see
// [Grow] and [Sum]. It never shrinks: the guest gives back to the host what it
// does not use. Its CPUs stay as many as they are; see [Request.FitsCPUs].
//
// # The cgroup on the host
//
//	what    | rule
//	--------+------------------------------------------------------------------
//	memory  | all of the VM's memory + overhead, when the pod has a memory limit,
//	        | also once it has grown; none otherwise. It is above anything the guest can use, so that
//	        | the guest's kernel, which knows the containers, chooses whom to kill.
//	CPU     | shares and the cpuset as the pod has them. No quota: the guest
//	        | enforces those of the containers, the parent cgroup that of the
//	        | pod, and cgroup v1 refuses a group more than its parent has.
//
// The overhead is what a VM takes on the host beside its guest's memory; see
// [Overhead].
package sizing

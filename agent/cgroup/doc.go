// SPDX-License-Identifier: Apache-2.0

// Package cgroup is what the agent does with cgroup v2 by itself: reading its
// files, killing and freezing all that runs in a cgroup. Limits are the OCI
// runtime's. The meaning of the files is in the kernel's
// Documentation/admin-guide/cgroup-v2.rst.
package cgroup

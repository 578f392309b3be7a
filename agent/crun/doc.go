// SPDX-License-Identifier: Apache-2.0

// Package crun runs containers by the OCI runtime crun, driven through
// containerd/go-runc. It is the container package's Runtime.
//
// crun ends as soon as the container's process stands; the process becomes the
// agent's child, and the reaper gets its exit status.
package crun

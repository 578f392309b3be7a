// SPDX-License-Identifier: Apache-2.0

// Package container keeps the guest's containers and their processes.
//
// A container goes through these states:
//
//	creating ──► created ──► running ◄──► paused
//	    │           │           │            │
//	    └───────────┴─────┬─────┴────────────┘
//	                      ▼
//	                   stopped
//
// It is stopped when its first process has ended, whatever else happened; the
// first process's end is known to waiters only after the container is stopped
// and its OOM kills are counted. Removal is allowed in every state and takes
// the container out of the [Store].
//
// Locks: one container's OCI runtime calls exclude each other, but for execs,
// which run side by side; no lock is held across calls of two containers.
package container

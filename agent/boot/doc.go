// SPDX-License-Identifier: Apache-2.0

// Package boot is what PID 1 does once: it mounts the file systems that every
// program expects, opens the cgroup tree, brings the loopback device up, reads
// the kernel command line, and at the end powers the guest off.
package boot

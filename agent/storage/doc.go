// SPDX-License-Identifier: Apache-2.0

// Package storage makes the file systems and volumes that the host asks for,
// by driver ([Drivers] lists them), and takes them away again.
//
// A mount point that several containers ask for is mounted once and unmounted
// with the last of them; one marked shared stays until the pod ends.
package storage

// SPDX-License-Identifier: Apache-2.0

// Package storage plans how files of the host reach the guest. Every mount of a
// container becomes exactly one of
//
//   - a disk: a block device of the guest (EROFS layers, block snapshots, raw
//     block volumes);
//   - a share: a directory or file bound below the directory that virtiofsd
//     serves;
//   - a guest mount: proc, sysfs, tmpfs and their like, the pod's /dev/shm, a
//     memory-backed emptyDir;
//   - a copy: a small file sent to the guest once. Those that engines write for a
//     pod before its containers are made (hostname, hosts, resolv.conf) are one.
//
// The planner is pure: mounts, facts about their sources and the capabilities
// of the VM go in, a plan comes out. What it cannot place is an error that names
// the mount and says what is supported. Doing what the plan says, on the host
// and through the agent, is the caller's part.
package storage

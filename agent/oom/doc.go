// SPDX-License-Identifier: Apache-2.0

// Package oom tells of every kill by the kernel's OOM killer in a container,
// not only of the first: the kernel counts them in the cgroup's memory.events
// (oom_kill), inotify tells that the count changed, and each increment is one
// event.
package oom

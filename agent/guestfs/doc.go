// SPDX-License-Identifier: Apache-2.0

// Package guestfs writes the files that the host sends into one directory tree
// and nowhere else: every path is resolved by the kernel beneath the tree's
// root (openat2 with RESOLVE_IN_ROOT), so that neither ".." nor a link that a
// container has made leads out of it.
package guestfs

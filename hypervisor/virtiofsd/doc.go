// SPDX-License-Identifier: Apache-2.0

// Package virtiofsd runs the daemon that serves a directory of the host to a
// guest as a virtio-fs file system. Two programs of that name are in use and
// both are driven: the one in C that belongs to QEMU up to 7.2, and its
// successor in Rust. Which one a binary is, its --help tells.
//
// The daemon is given a listening socket as a descriptor, so that the VMM can
// connect at once and no other process can take the socket's place. It is confined
// from its start, see package confine: it sees its libraries and the shared directory,
// to which itself it cannot write, but to what is mounted below. It puts
// itself into namespaces of its own, sees nothing but the shared directory, and
// has its system calls filtered. It ends by itself when the VMM disconnects.
package virtiofsd

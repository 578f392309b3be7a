// SPDX-License-Identifier: Apache-2.0

// Package transport carries byte streams between the host and ports inside a
// guest. There is one way to reach the guest, [Dialer], whatever the host has:
//
//   - [Vsock]: AF_VSOCK through vhost-vsock, by context id;
//   - [Hybrid]: a VMM's own unix socket (Cloud Hypervisor, Firecracker), on which
//     a line "CONNECT <port>" is answered by "OK <port>";
//   - [Serial]: one virtio-serial port carrying many streams, each opened by the
//     same greeting, for hosts that have neither.
//
// The guest side is one [Guest] that hands out a net.Listener per port and is
// fed by every carrier it finds.
package transport

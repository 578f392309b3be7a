// SPDX-License-Identifier: Apache-2.0

// Package node makes a private container node out of real parts: containerd, CNI plugins, runc and crictl, built
// from the Go module proxy by exact versions, in a network and a mount namespace of their own.
//
// Nothing of the machine is touched. The node's processes see an empty /run and an empty /var/lib (tmpfs, in their
// mount namespace only), a network that holds nothing but a loopback and the CNI bridge, and keep every other file
// below one root directory. A keeper process holds the two namespaces; when it and the node's other processes end,
// mounts, interfaces, tc rules and iptables rules end with them.
//
// The life of a node:
//
//	Start: lock root -> sweep what a killed run left -> packages -> binaries -> keeper -> configuration -> containerd
//	Stop:  pods and containers -> containerd -> processes left (reported) -> keeper -> cgroups -> root directory
package node

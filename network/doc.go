// SPDX-License-Identifier: Apache-2.0

// Package network is the host's half of a pod's network: it reads what a
// network namespace holds ([Scan]), and joins an interface in it to a new TAP
// device by traffic-control redirection both ways ([Connect]), so that a VMM
// holding the TAP's queues stands in the interface's place with the
// interface's MAC and IP addresses. It knows nothing of VMs or pods.
//
// The namespace keeps the interface and its addresses; engines that look into
// it see what they put there.
package network

// SPDX-License-Identifier: Apache-2.0

// Package names answers in the guest for a name server that listens on a loopback
// address of the host's side; see package protocols/names. The port in the guest
// stays free for others: a container may well have a name server of its own, on
// every address there is.
package names

// SPDX-License-Identifier: Apache-2.0

// Package security tests what a hostile container, a hostile guest and a VMM that was taken over can reach: it looks
// at the processes of running pods from outside, and attacks from inside. docs/security.md lists what is asserted.
//
// The tests run on a private node with a real containerd and two pods, which have a share, a writable volume and a
// writable file of the host each. `make security` runs them.
package security

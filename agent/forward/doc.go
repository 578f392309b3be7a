// SPDX-License-Identifier: Apache-2.0

// Package forward gives the host a way to TCP ports of the guest's loopback,
// where it cannot dial itself. The wire is that of package protocols/forward.
package forward

// SPDX-License-Identifier: Apache-2.0

// Package nerdctl tests the runtime under nerdctl 2.2, the command of containerd for people, on containerd 2.4.
package nerdctl

// SPDX-License-Identifier: Apache-2.0

// Package daemon is the serving shim: the pod, its services on one socket, the
// queue of events, and the log.
package daemon

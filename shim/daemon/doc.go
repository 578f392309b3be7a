// SPDX-License-Identifier: Apache-2.0

// Package daemon puts the serving shim together: the pod, its services, and the
// queue of events, registered with pkg/shim's plugin registry.
package daemon

// SPDX-License-Identifier: Apache-2.0

// Package sandboxapi is containerd's Sandbox service: a pod without a pause
// container. In its place there is the pod's configuration, from which the
// files that containers expect are made: hosts, hostname and resolv.conf.
//
// A sandbox as containerd sees it:
//
//	unknown --CreateSandbox--> created --StartSandbox--> ready
//	created --StopSandbox--> notready
//	ready --StopSandbox, death--> notready
//
// Of the CRI's PodSandboxConfig only what matters to a VM is read, field by
// field from its bytes: the generated package for the whole CRI would cost every
// shim a few MB of memory.
package sandboxapi

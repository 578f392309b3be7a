// SPDX-License-Identifier: Apache-2.0

// Package bootstrap is how containerd and the shim's binary find each other:
// the start and delete actions and the -info question.
//
// Containerd has two dialects of start. From 2.3 on it writes a
// containerd.runtime.bootstrap.v1.BootstrapParams message to the shim's stdin
// and reads a BootstrapResult message from its stdout. Before that, stdin holds
// the runtime's options as a bare google.protobuf.Any, or nothing, and stdout is
// the socket's address. This package answers in the dialect it was asked in.
//
// One shim serves a whole pod, so start answers with the address of the pod's
// shim when there is one already. The address is a function of containerd's
// address, the namespace and the pod's id; no file needs to be looked for, which
// holds for engines that lay out their bundles differently, too. Only for a pod
// that is older than an upgrade of containerd, whose sockets lie elsewhere, is the
// pod's own bundle asked.
package bootstrap

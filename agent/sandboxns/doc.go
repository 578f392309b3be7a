// SPDX-License-Identifier: Apache-2.0

// Package sandboxns makes the namespaces that the containers of a pod share:
// IPC and UTS, held by a bind mount, and on wish a PID namespace, held by an
// anchor process that is PID 1 there and reaps what becomes an orphan.
//
// The network namespace is not among them: the guest's own is the pod's, unless
// the pod has a user namespace, to which all of them belong ([NewMapped]).
package sandboxns

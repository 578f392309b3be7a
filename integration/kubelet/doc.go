// SPDX-License-Identifier: Apache-2.0

// Package kubelet makes pods on a private node as a kubelet does: by CRI calls over one connection. Starting crictl for
// each call costs as much as half a pod with runc.
package kubelet

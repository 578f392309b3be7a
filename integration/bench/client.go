// SPDX-License-Identifier: Apache-2.0

package main

import (
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/kubelet"
)

type (
	pod      = kubelet.Pod
	workload = kubelet.Workload
)

// waiting is a pod whose container waits; mounts and limits may be nil.
func waiting(mounts []*cri.Mount, limits *cri.LinuxContainerResources) workload {
	return workload{Image: images.Bench, Mounts: mounts, Limits: limits}
}

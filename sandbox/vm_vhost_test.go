// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestVMVhostNet has the host's kernel carry a pod's frames, and moves a
// megabyte over both families.
func TestVMVhostNet(t *testing.T) {
	if _, err := os.Stat(vhostNetDevice); err != nil {
		t.Skipf("this host has no vhost-net (make nested has): %v", err)
	}
	bundle := busyboxBundle(t)
	inside, far := outside(t), outside(t)
	addVeth(t, inside, far)
	pod := realPod(t, func(o *Options) { o.NetNS = inside })
	startReal(t, pod)
	if n := opened(t, pod.PID(), vhostNetDevice); n != 1 {
		t.Errorf("the VMM has vhost-net open %d times, want once", n)
	}
	listenAt(t, far)
	reachOutside(t, pod, bundle)
}

// opened counts the descriptors that a process has of a file.
func opened(t *testing.T, pid int, path string) int {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(links) == 0 {
		t.Fatalf("process %d: descriptors %v, %v", pid, links, err)
	}
	n := 0
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == path {
			n++
		}
	}
	return n
}

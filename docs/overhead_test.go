// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"testing"

	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/sizing"
)

// largestGuest is the guest in MiB that the page's podFixed is good for.
const largestGuest = 16 << 10

func defaultBounds() sizing.Bounds {
	h := config.Default().Hypervisor
	return sizing.Bounds{
		DefaultVCPUs: h.DefaultVCPUs, DefaultMemoryMiB: h.DefaultMemory, HostCPUs: 64, HostMemoryMiB: 256 << 10,
	}
}

// TestRuntimeClass: the page's RuntimeClass has the overhead that was measured.
func TestRuntimeClass(t *testing.T) {
	fixed := sizing.PodFixed(defaultBounds(), config.Default().Hypervisor.Name, largestGuest)
	holds(t, "install.md", "runtimeclass", fmt.Sprintf("```yaml\napiVersion: node.k8s.io/v1\nkind: RuntimeClass\n"+
		"metadata:\n  name: kata\nhandler: kata\noverhead:\n  podFixed:\n    cpu: %dm\n    memory: %dMi\n```",
		fixed.MilliCPU, fixed.MemoryMiB))
}

// TestPodFixedIsEnough: a pod cgroup as kubelet sets it, the limits and podFixed, allows what the VM may take.
func TestPodFixedIsEnough(t *testing.T) {
	bounds, vmm := defaultBounds(), config.Default().Hypervisor.Name
	fixed := sizing.PodFixed(bounds, vmm, largestGuest)
	for _, limitMiB := range []int64{1, 64, 128, 129, 1000, 4096, 10_000, largestGuest - 2048 - 128} {
		size, err := sizing.VM(sizing.Request{MemoryBytes: limitMiB << 20}, bounds)
		if err != nil {
			t.Fatal(err)
		}
		pod := (limitMiB + int64(fixed.MemoryMiB)) << 20
		if err := sizing.CheckParent(size, vmm, pod); err != nil {
			t.Errorf("a limit of %d MiB: %v", limitMiB, err)
		}
		ours := sizing.HostLimits(sizing.Request{MemoryBytes: limitMiB << 20}, size, vmm)
		if ours.MemoryBytes > pod {
			t.Errorf("a limit of %d MiB: the VM's cgroup allows %d bytes, kubelet's %d", limitMiB, ours.MemoryBytes, pod)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"strings"
	"testing"

	"github.com/katapod/katapod/sandbox/storage"
)

// TestVMMemoryGrows starts a pod from a template that has less than the pod needs, and
// then a container that needs more than the pod has.
func TestVMMemoryGrows(t *testing.T) {
	layer := erofsOf(t, busyboxBundle(t))
	templates := builtTemplate(t) // of a pod that says nothing about its size
	pod := realPod(t, withMemory(256))
	pod.drivers.Templates = templates
	startReal(t, pod)
	if o := pod.Origin(); o.Kind != OriginTemplate {
		t.Fatalf("the pod comes from %+v", o)
	}
	// The kernel keeps some for itself. What containers write is in half of the rest.
	look := func(id string, limitMiB int64, least int) {
		t.Helper()
		o := realContainer("", id, "sh", "-c", "busybox grep MemTotal /proc/meminfo; busybox df -m /")
		o.Bundle, o.Rootfs = t.TempDir(), []storage.Mount{
			{Type: "erofs", Source: layer, Options: []string{"ro", "loop"}},
			{Type: "format/mkdir/overlay", Source: "overlay", Options: []string{"workdir=/w", "upperdir=/u", "lowerdir={{ mount 0 }}"}},
		}
		o.Spec.Linux.Resources = memoryLimit(limitMiB)
		out, code := runReal(t, pod, o)
		var kib, root int
		for line := range strings.Lines(out) {
			_, _ = fmt.Sscanf(line, "MemTotal: %d kB", &kib)
			_, _ = fmt.Sscanf(line, "overlay %d", &root)
		}
		if code != 0 || kib>>10 < least || root < least/2-40 {
			t.Errorf("container %s exited with %d, in a guest of %d MiB, want %d, with %d MiB to write to: %q", id, code, kib>>10, least, root, out)
		}
	}
	look("c1", 256, 512+256-80)
	look("c2", 1024, 512+1024-80)
	if has := pod.machine().Describe().MemoryMiB; has != 1536 || pod.size().MemoryMiB != has {
		t.Errorf("the VM has %d MiB, its pod %+v", has, pod.size())
	}
}

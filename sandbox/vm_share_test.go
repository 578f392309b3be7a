// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestVMShare sees that files of the host reach a guest that booted or was cloned,
// whether the share comes with the VM or with the first containers, two at a time.
func TestVMShare(t *testing.T) {
	bundle := busyboxBundle(t)
	templates := templateOf(t, realPod(t))
	for _, c := range []struct {
		name  string
		clone bool
		soon  bool
	}{{"a clone, later", true, false}, {"a clone, soon", true, true}, {"booted, soon", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			pod := realPod(t, func(o *Options) { o.SharesSoon = c.soon })
			if c.clone {
				pod.drivers.Templates = templates
			}
			startReal(t, pod)
			if cloned := pod.Origin().Kind == OriginTemplate; cloned != c.clone {
				t.Fatalf("the VM comes from %+v", pod.Origin())
			}
			if pod.share.inVM != c.soon {
				t.Errorf("the VM has a share: %v", pod.share.inVM)
			}
			var all sync.WaitGroup
			for i := range 2 {
				all.Go(func() { tradeFiles(t, pod, bundle, fmt.Sprintf("c%d", i)) })
			}
			all.Wait()
			for _, s := range pod.Timeline() {
				if s.Name == StepShare {
					t.Logf("the share took %v, after %v", s.Duration, s.Start)
				}
			}
		})
	}
}

// tradeFiles runs a container that reads and writes a directory of the host.
func tradeFiles(t *testing.T, pod *Sandbox, bundle, id string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in"), []byte("from the host"), 0o600); err != nil {
		t.Error(err)
		return
	}
	o := realContainer(bundle, id, "sh", "-c", "cat /data/in; echo from "+id+" > /data/out")
	o.Spec.Mounts = append(o.Spec.Mounts, specs.Mount{Type: "bind", Source: dir, Destination: "/data", Options: []string{"rbind", "rw"}})
	out, code := runReal(t, pod, o)
	text, err := os.ReadFile(filepath.Join(dir, "out"))
	if out != "from the host" || code != 0 || err != nil || string(text) != "from "+id+"\n" {
		t.Errorf("the container said %q, exited with %d and wrote %q, %v", out, code, text, err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestDirectories(t *testing.T) {
	r := Default().Runtime
	id := strings.Repeat("0123456789abcdef", 4)
	if got := r.SandboxDir("k8s.io", id); got != "/run/vc/sbs/"+id+"@k8s.io" {
		t.Errorf("sandbox directory is %s", got)
	}
	if namespace, got := SplitSandboxDir(r.SandboxDir("k8s.io", id)); namespace != "k8s.io" || got != id {
		t.Errorf("read back: namespace %q, id %q", namespace, got)
	}
	if namespace, got := SplitSandboxDir("/run/vc/sbs/old"); namespace != "" || got != "old" {
		t.Errorf("a directory without a namespace: %q, id %q", namespace, got)
	}
	seen := map[string]bool{}
	for _, pod := range []struct{ namespace, id string }{
		{"k8s.io", "a"}, {"moby", "a"}, {"k8s.io", id}, {"moby", id}, {"moby", id[:63] + "0"},
		{"default", "a-container-of-a-demo-1"}, {"default", "a-container-of-a-demo-2"},
	} {
		dir := r.VMDir(pod.namespace, pod.id)
		if seen[dir] || len(filepath.Base(dir)) > 17 || !strings.HasPrefix(dir, "/run/vc/vm/") {
			t.Errorf("the directory of %v is %s, after %v", pod, dir, seen)
		}
		seen[dir] = true
	}
}

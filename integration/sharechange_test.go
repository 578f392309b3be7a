// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/katapod/katapod/integration/node"
)

// What the node does to a shared directory, the pod sees, though it has read the files before and holds one of them
// open: virtio_fs_cache = "auto" promises it within a second; the test waits longer, for a busy machine.
func TestPodSeesChangesOfTheNode(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"same", "longer", "replaced", "removed", "held"} {
		write(name, "old")
	}
	pod := startPod(t, node.Pod{Name: "changes"})
	id := pod.start(node.Container{Name: "main", Args: []string{"sh", "-c", "exec 3</data/held; exec probe pause"},
		Mounts: []node.Mount{{ContainerPath: "/data", HostPath: dir}}})
	read := []string{"sh", "-c", "cd /data; ls; cat same longer replaced held new removed 2>/dev/null; stat -c %s longer"}
	const before = "held\nlonger\nremoved\nreplaced\nsame\noldoldoldoldold3\n"
	if got := pod.exec(id, read...); got != before {
		t.Fatalf("before the changes the pod sees %q, want %q", got, before)
	}
	write("same", "new")
	write("longer", "longer")
	write("held", "HELD")
	write("new", "here")
	write("next", "swap")
	if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "replaced")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "removed")); err != nil {
		t.Fatal(err)
	}
	const after = "held\nlonger\nnew\nreplaced\nsame\nnewlongerswapHELDhere6\n"
	var got string
	defer func() { t.Logf("the pod sees %q", got) }()
	waitFor(t, soon, "the pod to see the node's changes", func() bool {
		got = pod.exec(id, read...)
		return got == after
	})
}

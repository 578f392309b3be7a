// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	"github.com/katapod/katapod/integration/images"
)

// The root file system reaches the container whatever snapshotter holds it.
func TestCtrRunOnSnapshotters(t *testing.T) {
	ctx := begin(t)
	for _, snapshotter := range []string{"overlayfs", "native", "erofs", "blockfile"} {
		t.Run(snapshotter, func(t *testing.T) {
			script := "echo written >/new && cat /new && ls -i /bin/sh /bin/cat | awk '{print $1}' | uniq | wc -l"
			out, err := shared.Ctr(ctx, ctrRun("--snapshotter", snapshotter, images.Busybox, "snap-"+snapshotter, "sh", "-c", script)...)
			if err != nil {
				t.Fatal(err)
			}
			if want := "written\n1\n"; !strings.HasSuffix(out, want) {
				t.Errorf("the container printed %q, want %q: a file of its own, and hard links that are links", out, want)
			}
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/katapod/katapod/integration/images"
)

// Missing tells why no test can run on a node here with the build output out and a
// runtime, "kata" or "runc". It is empty when they can.
func Missing(out, runtime string) string {
	if os.Geteuid() != 0 {
		return "a private node needs root"
	}
	if runtime == "runc" {
		return ""
	}
	for _, file := range []string{"bin/containerd-shim-kata-v2", "guest/vmlinux", "guest/katapod.img"} {
		if _, err := os.Stat(filepath.Join(out, file)); err != nil {
			return fmt.Sprintf("%s is not built (run make first): %v", file, err)
		}
	}
	return ""
}

// LoadImages makes the images of the tests in a directory and loads them for CRI and
// for ctr. It returns the archive of them.
func (n *Node) LoadImages(ctx context.Context, dir string) (archive string, err error) {
	if archive, err = images.Build(ctx, dir, PauseImage); err != nil {
		return "", err
	}
	return archive, n.ImportImages(ctx, archive)
}

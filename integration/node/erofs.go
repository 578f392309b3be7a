// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// trixieTools are the packages unpacked for mkfs.erofs: containerd's erofs differ needs 1.8 or newer (--tar,
// --mkfs-time, --sort), and bookworm has 1.5. Its libraries, glibc included, come along and are used by it alone.
const trixieTools = "erofs-utils libc6 liblz4-1 liblzma5 zlib1g libzstd1 libdeflate0 libuuid1 libselinux1 " +
	"libpcre2-8-0 libxxhash0"

// unpackErofsTools puts a mkfs.erofs that runs on any glibc system into dir/bin.
func unpackErofsTools(ctx context.Context, dir string) error {
	state := filepath.Join(dir, "apt")
	tree := filepath.Join(dir, "trixie")
	apt, err := privateApt(ctx, state, mirror("deb", "trixie"))
	if err != nil {
		return err
	}
	if err := apt.run(ctx, filepath.Join(state, "archives"), append([]string{"download"}, strings.Fields(trixieTools)...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(state, "archives", "*.deb"))
	if err != nil {
		return fmt.Errorf("list the downloaded packages: %w", err)
	}
	for _, deb := range debs {
		if _, err := (Runner{}).Run(ctx, "dpkg-deb", "-x", deb, tree); err != nil {
			return err
		}
	}
	return wrapErofs(ctx, dir, tree, state)
}

// wrapErofs writes the script that starts the unpacked program with the unpacked libraries, and tries it.
func wrapErofs(ctx context.Context, dir, tree, state string) error {
	loaders, err := filepath.Glob(filepath.Join(tree, "usr/lib/*/ld-linux-*.so.*"))
	if err != nil || len(loaders) == 0 {
		return fmt.Errorf("no dynamic loader was found among the packages unpacked in %s", tree)
	}
	libraries := filepath.Dir(loaders[0])
	script := fmt.Sprintf("#!/bin/sh\nexec %s --library-path %s %s \"$@\"\n",
		loaders[0], libraries, filepath.Join(tree, "usr/bin/mkfs.erofs"))
	made := filepath.Join(dir, "mkfs.erofs.new")
	if err := os.WriteFile(made, []byte(script), 0o755); err != nil {
		return fmt.Errorf("write the wrapper of mkfs.erofs: %w", err)
	}
	out, err := (Runner{}).Run(ctx, made, "--help")
	if err != nil {
		return err
	}
	if !strings.Contains(out, "--tar") {
		return fmt.Errorf("the mkfs.erofs unpacked from trixie knows no --tar option, which containerd's erofs differ needs")
	}
	if err := os.Rename(made, filepath.Join(dir, "bin", "mkfs.erofs")); err != nil {
		return fmt.Errorf("take over the wrapper of mkfs.erofs: %w", err)
	}
	return os.RemoveAll(state)
}

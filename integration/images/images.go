// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// architecture of the images: this machine's, whose busybox they hold.
const architecture = runtime.GOARCH

// Busybox is the image of the tests: busybox with its applets, and the probe.
const Busybox = "katapod.test/busybox:1"

// probePackage is the program that does in a container what busybox cannot.
const probePackage = "github.com/katapod/katapod/integration/images/probe"

// Build writes an archive with the busybox image and the pause image, named pause, to dir and returns its path. It
// takes busybox from Debian's busybox-static and builds the probe with the go command, in the current module.
func Build(ctx context.Context, dir, pause string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the directory for images: %w", err)
	}
	probe, err := buildProgram(ctx, dir, probePackage)
	if err != nil {
		return "", err
	}
	const passwd, group = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n", "root:x:0:\nnogroup:x:65534:\n"
	busybox, err := busyboxFiles(ctx, "/bin/busybox", passwd, group)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "images.tar")
	out, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("make the archive of images: %w", err)
	}
	err = Write(out, Image{
		Name:  Busybox,
		Files: append(busybox, File{Path: "bin/probe", Mode: 0o755, Data: probe}),
		Config: v1.ImageConfig{
			Env: []string{searchPath},
			Cmd: []string{"sh"},
		},
	}, pauseImage(pause, probe))
	return path, errors.Join(err, out.Close())
}

// buildProgram builds a program for the images, without libraries it would have to find there.
func buildProgram(ctx context.Context, dir, program string) ([]byte, error) {
	path := filepath.Join(dir, filepath.Base(program))
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, program)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s for the test images: %w: %s", program, err, strings.TrimSpace(string(said)))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s that was built: %w", path, err)
	}
	return data, nil
}

// busyboxFiles is a root file system around a static busybox of this machine. The applets are hard links: a test that
// masks one of them by a bind mount would mask all through symbolic links.
func busyboxFiles(ctx context.Context, host, passwd, group string) ([]File, error) {
	data, err := os.ReadFile(host)
	if err != nil {
		return nil, fmt.Errorf("read busybox (Debian package busybox-static): %w", err)
	}
	listed, err := exec.CommandContext(ctx, host, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("list the applets of %s: %w", host, err)
	}
	files := []File{
		{Path: "bin/", Mode: 0o755},
		{Path: "etc/", Mode: 0o755},
		{Path: "root/", Mode: 0o700},
		{Path: "tmp/", Mode: 0o1777},
		{Path: "var/", Mode: 0o755},
		{Path: "etc/passwd", Mode: 0o644, Data: []byte(passwd)},
		{Path: "etc/group", Mode: 0o644, Data: []byte(group)},
		{Path: "bin/busybox", Mode: 0o755, Data: data},
	}
	for _, applet := range strings.Fields(string(listed)) {
		if applet != "busybox" {
			files = append(files, File{Path: "bin/" + applet, Mode: 0o755, Hard: "bin/busybox"})
		}
	}
	return files, nil
}

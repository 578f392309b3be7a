// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// The image of the benchmarks: busybox, the program "load" that works and times itself, and a file to read.
const (
	Bench         = "katapod.test/bench:1"
	BenchDataPath = "/data"
	BenchDataSize = 128 << 20
)

const loadPackage = "github.com/katapod/katapod/integration/bench/load"

// BuildBench writes an archive with the benchmarks' image to dir and returns its path; see Build.
func BuildBench(ctx context.Context, dir string) (path string, err error) {
	load, err := buildProgram(ctx, dir, loadPackage)
	if err != nil {
		return "", err
	}
	files, err := busyboxFiles(ctx, "/bin/busybox", "root:x:0:0:root:/root:/bin/sh\n", "root:x:0:\n")
	if err != nil {
		return "", err
	}
	// Bytes that no file system shortens, the same in every run.
	data := make([]byte, BenchDataSize)
	if _, err := rand.NewChaCha8([32]byte{}).Read(data); err != nil {
		return "", fmt.Errorf("make the benchmark's data: %w", err)
	}
	path = filepath.Join(dir, "bench.tar")
	out, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("make the archive of the benchmark's image: %w", err)
	}
	defer func() {
		if closed := out.Close(); err == nil {
			err = closed
		}
	}()
	return path, Write(out, Image{
		Name: Bench,
		Files: append(files,
			File{Path: "bin/load", Mode: 0o755, Data: load},
			File{Path: BenchDataPath[1:], Mode: 0o644, Data: data},
		),
		Config: v1.ImageConfig{Env: []string{searchPath}, Cmd: []string{"load", "wait"}},
	})
}

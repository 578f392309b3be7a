// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/katapod/katapod/integration/images"
)

const (
	rootFirst = "root file system read, EROFS, first time in the pod"
	rootAgain = "root file system read, EROFS, again"

	// copying is what a reading from the page cache cannot be faster than.
	copying = "copy of memory by one process, the fastest way"

	shareRead   = "shared directory: sequential read"
	shareCreate = "shared directory: create 10000 files"
	shareList   = "shared directory: list 10000 files"
	shareRemove = "shared directory: remove 10000 files"
)

// disk reads a large file of the image; the host has it in its page cache. A second reading in the same pod finds it
// in the guest's.
func disk(ctx context.Context, b *bench) error {
	for i := range max(1, b.runs/3) + 1 {
		err := b.inPod(ctx, waiting(nil, nil), func(s side, p pod) error {
			read := []string{"load", "read", images.BenchDataPath}
			for _, work := range []struct {
				name    string
				command []string
			}{{rootFirst, read}, {rootAgain, read}, {copying, []string{"load", "copy", fmt.Sprint(images.BenchDataSize)}}} {
				rates, err := b.numbers(ctx, p, 1, work.command...)
				if err != nil {
					return err
				}
				if i > 0 { // the first fills the host's page cache
					s.samples.add(work.name, rates[0])
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// share works on a directory of the host.
func share(ctx context.Context, b *bench) error {
	dir := filepath.Join(b.node.Root, "shared")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory to share: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data"), make([]byte, images.BenchDataSize), 0o644); err != nil {
		return fmt.Errorf("make a file to read in the shared directory: %w", err)
	}
	w := waiting([]*cri.Mount{{HostPath: dir, ContainerPath: "/shared"}}, nil)
	for range max(1, b.runs/5) {
		err := b.inPod(ctx, w, func(s side, p pod) error {
			rates, err := b.numbers(ctx, p, 1, "load", "read", "/shared/data")
			if err != nil {
				return err
			}
			s.samples.add(shareRead, rates[0])
			times, err := b.numbers(ctx, p, 3, "load", "files", "/shared", "10000")
			if err != nil {
				return err
			}
			for i, name := range []string{shareCreate, shareList, shareRemove} {
				s.samples.add(name, times[i])
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// numbers runs a command in the pod that prints this many numbers.
func (b *bench) numbers(ctx context.Context, p pod, count int, command ...string) ([]float64, error) {
	said, err := b.Exec(ctx, p, command...)
	if err != nil {
		return nil, err
	}
	var numbers []float64
	for _, word := range strings.Fields(said) {
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil, fmt.Errorf("%q printed %q: %w", command, said, err)
		}
		numbers = append(numbers, n)
	}
	if len(numbers) != count {
		return nil, fmt.Errorf("%q printed %q, which are not %d numbers", command, said, count)
	}
	return numbers, nil
}

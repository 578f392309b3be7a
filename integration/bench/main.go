// SPDX-License-Identifier: Apache-2.0

// Command bench measures pods on a private node: start-up by step, exec, memory; with this project's runtime and
// with runc in the same run. It prints a table and writes it as JSON.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

func main() {
	out := flag.String("out", "out", "the project's build output, which bench.json goes to as well")
	runs := flag.Int("runs", 10, "pods of each runtime")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *out, *runs); err != nil {
		fmt.Fprintf(os.Stderr, "\nThe benchmark failed: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string, runs int) (err error) {
	out, err = filepath.Abs(out)
	if err != nil {
		return fmt.Errorf("find the build output: %w", err)
	}
	if runs < 1 {
		return fmt.Errorf("-runs is %d and has to be at least 1", runs)
	}
	cache, err := node.CacheDir()
	if err != nil {
		return err
	}
	progress := node.NewProgress(os.Stdout)
	n, err := node.Start(ctx, node.Options{Name: "kpnode-bench", Out: out, Cache: cache, Progress: progress})
	if err != nil {
		return err
	}
	defer func() {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), 90*time.Second)
		defer cancel()
		if err != nil {
			err = errors.Join(err, n.KeepLogs())
		}
		err = errors.Join(err, n.Stop(cleaning))
	}()
	archive, err := images.Build(ctx, filepath.Join(out, "node"), node.PauseImage)
	if err != nil {
		return err
	}
	if err := n.ImportImages(ctx, archive); err != nil {
		return err
	}
	samples := map[string]samples{}
	for _, handler := range []string{"runc", "kata"} {
		err := progress.Step(fmt.Sprintf("%d pods with %s", runs, handler), func() error {
			samples[handler], err = measure(ctx, n, handler, runs)
			return err
		})
		if err != nil {
			return err
		}
	}
	return report(filepath.Join(out, "bench.json"), figures(samples["kata"], samples["runc"]))
}

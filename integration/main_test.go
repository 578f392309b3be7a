// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/interrupt"
	"github.com/katapod/katapod/integration/node"
)

// shared is the node of all tests and what there was of it before the first.
var shared struct {
	*node.Node
	empty   node.Inventory
	runtime string // "kata" or "runc"
	skip    string // why no test can run; empty when they can
	// interrupted ends every test at SIGINT and SIGTERM, see package interrupt.
	interrupted context.Context
}

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	ctx, stop := interrupt.Context()
	defer stop()
	shared.interrupted = ctx
	if err := startShared(ctx); err != nil {
		return 1, err
	}
	if shared.skip != "" {
		return m.Run(), nil
	}
	code := m.Run()
	stopping, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	return code, stopShared(stopping, code != 0)
}

func startShared(ctx context.Context) error {
	out, err := filepath.Abs(envOr("KATAPOD_TEST_OUT", "../out"))
	if err != nil {
		return fmt.Errorf("find the build output: %w", err)
	}
	shared.runtime = envOr("KATAPOD_TEST_RUNTIME", "kata")
	if shared.skip = node.Missing(out, shared.runtime); shared.skip != "" {
		return nil
	}
	cache, err := node.CacheDir()
	if err != nil {
		return err
	}
	progress := node.NewProgress(os.Stderr)
	n, err := node.Start(ctx, node.Options{Name: envOr("KATAPOD_TEST_NODE", "kpnode-test"), Out: out, Cache: cache, Progress: progress})
	if err != nil {
		return err
	}
	shared.Node = n
	_, err = n.LoadImages(ctx, filepath.Join(out, "node"))
	if err == nil {
		shared.empty, err = n.Inventory(ctx)
	}
	if err != nil {
		return errors.Join(err, n.Stop(context.WithoutCancel(ctx)))
	}
	return nil
}

// stopShared checks that the tests left nothing, and keeps the log of containerd and the shims when they failed.
func stopShared(ctx context.Context, failed bool) error {
	errs := []error{shared.RemoveAll(ctx)}
	added, err := shared.WaitEmpty(ctx, shared.empty)
	errs = append(errs, err)
	if len(added) > 0 {
		errs = append(errs, fmt.Errorf("the tests left on the node:\n%s", added))
	}
	if failed || errors.Join(errs...) != nil {
		errs = append(errs, shared.KeepLogs())
	}
	return errors.Join(append(errs, shared.Stop(ctx))...)
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// SPDX-License-Identifier: Apache-2.0

package security

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

// shared is what all tests use.
var shared struct {
	*node.Node
	skip  string // why no test can run; empty when they can
	empty node.Inventory
	a, b  *pod // the first is privileged in its guest
	// interrupted ends every test at SIGINT and SIGTERM, see package interrupt.
	interrupted context.Context
}

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration/security:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, stop := interrupt.Context()
	defer stop()
	shared.interrupted = ctx
	out := os.Getenv("KATAPOD_TEST_OUT")
	if out == "" {
		out = "../../out"
	}
	if out, err = filepath.Abs(out); err != nil {
		return 1, fmt.Errorf("find the build output: %w", err)
	}
	if shared.skip = node.Missing(out, "kata"); shared.skip != "" {
		return m.Run(), nil
	}
	cache, err := node.CacheDir()
	if err != nil {
		return 1, err
	}
	shared.Node, err = node.Start(ctx, node.Options{Name: "kpnode-security", Out: out, Cache: cache, Progress: node.NewProgress(os.Stderr)})
	if err != nil {
		return 1, err
	}
	defer func() {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Minute)
		defer cancel()
		err = errors.Join(err, stopNode(cleaning, code != 0 || err != nil))
	}()
	if err := prepare(ctx, out); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// prepare loads the image and starts the two pods.
func prepare(ctx context.Context, out string) error {
	if _, err := shared.LoadImages(ctx, filepath.Join(out, "node-security")); err != nil {
		return err
	}
	var err error
	if shared.empty, err = shared.Inventory(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if shared.a, err = startPod(ctx, "sec-a", map[string]any{"privileged": true}); err != nil {
		return err
	}
	shared.b, err = startPod(ctx, "sec-b", nil)
	return err
}

// stopNode removes the pods, checks that nothing stays, and keeps the log when something failed.
func stopNode(ctx context.Context, failed bool) error {
	errs := []error{shared.RemoveAll(ctx)}
	if shared.empty != nil {
		added, err := shared.WaitEmpty(ctx, shared.empty)
		errs = append(errs, err)
		if len(added) > 0 {
			errs = append(errs, fmt.Errorf("the tests left on the node:\n%s", added))
		}
	}
	if failed || errors.Join(errs...) != nil {
		errs = append(errs, shared.KeepLogs())
	}
	return errors.Join(append(errs, shared.Stop(ctx))...)
}

// begin skips the test when there is no node, and gives it five minutes.
func begin(t *testing.T) context.Context {
	t.Helper()
	if shared.skip != "" {
		t.Skip(shared.skip)
	}
	return interrupt.Bound(t, shared.interrupted, 5*time.Minute)
}

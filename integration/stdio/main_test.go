// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/interrupt"
	"github.com/katapod/katapod/integration/node"
)

// shared is what all tests use.
var shared struct {
	*node.Node
	runtime string // "kata" or "runc"
	skip    string // why no test can run; empty when they can
	client  *client.Client
	image   client.Image
	pod     *pod
	empty   node.Inventory // what there was of the node before the pod
	// interrupted ends every test at SIGINT and SIGTERM, see package interrupt.
	interrupted context.Context
}

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration/stdio:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, stop := interrupt.Context()
	defer stop()
	shared.interrupted = ctx
	out, err := filepath.Abs(envOr("KATAPOD_TEST_OUT", "../../out"))
	if err != nil {
		return 1, fmt.Errorf("find the build output: %w", err)
	}
	shared.runtime = envOr("KATAPOD_TEST_RUNTIME", "kata")
	if shared.skip = node.Missing(out, shared.runtime); shared.skip != "" {
		return m.Run(), nil
	}
	if err := startNode(ctx, out); err != nil {
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

func startNode(ctx context.Context, out string) error {
	cache, err := node.CacheDir()
	if err != nil {
		return err
	}
	progress := node.NewProgress(os.Stderr)
	shared.Node, err = node.Start(ctx, node.Options{Name: "kpnode-stdio", Out: out, Cache: cache, Progress: progress})
	return err
}

// prepare loads the image, unpacks it for containerd's client, and starts the pod.
func prepare(ctx context.Context, out string) error {
	if _, err := shared.LoadImages(ctx, filepath.Join(out, "node-stdio")); err != nil {
		return err
	}
	var err error
	if shared.empty, err = shared.Inventory(ctx); err != nil {
		return err
	}
	if shared.client, err = client.New(shared.Socket(), client.WithDefaultNamespace(shared.Name())); err != nil {
		return fmt.Errorf("connect to the node's containerd: %w", err)
	}
	if shared.image, err = shared.client.GetImage(ctx, images.Busybox); err != nil {
		return fmt.Errorf("find the image of the tests: %w", err)
	}
	if err := shared.image.Unpack(ctx, snapshotter); err != nil {
		return fmt.Errorf("unpack the image of the tests: %w", err)
	}
	shared.pod, err = startPod(ctx, "stdio")
	return err
}

// stopNode removes the pod, checks that nothing of it stays, and keeps the log when something failed.
func stopNode(ctx context.Context, failed bool) error {
	var errs []error
	if shared.pod != nil {
		errs = append(errs, shared.pod.stop(ctx))
	}
	if shared.client != nil {
		errs = append(errs, shared.client.Close())
	}
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

// begin skips the test when there is no node, and bounds it.
func begin(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	if shared.skip != "" {
		t.Skip(shared.skip)
	}
	return interrupt.Bound(t, shared.interrupted, limit)
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

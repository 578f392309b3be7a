// SPDX-License-Identifier: Apache-2.0

// Command critest runs the CRI's conformance suite against a private node, with each handler in turn, and compares
// the outcome with docs/conformance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/katapod/katapod/integration/conformance"
	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
	"github.com/katapod/katapod/integration/registry"
)

type options struct {
	name, out, page, focus string
	handlers               []string
	timeout                time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.name, "name", "kpnode-cri", "name of the node; one of each name runs at a time")
	flag.StringVar(&o.out, "out", "out", "the project's build output, which reports go to as well")
	flag.StringVar(&o.page, "expected", "docs/conformance.md", "the list of expected failures")
	flag.StringVar(&o.focus, "focus", "", "regular expression of the specs to run; empty means all")
	flag.DurationVar(&o.timeout, "timeout", 25*time.Minute, "of each handler's run")
	handlers := flag.String("handlers", "kata,"+node.SandboxAPIHandler, "runtime handlers, separated by commas; runc as well")
	flag.Parse()
	o.handlers = strings.Split(*handlers, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "\ncritest: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	page, err := os.Open(o.page)
	if err != nil {
		return fmt.Errorf("open the list of expected failures: %w", err)
	}
	expected, err := conformance.ReadExpected(page)
	if err := errors.Join(err, page.Close()); err != nil {
		return err
	}
	if o.out, err = filepath.Abs(o.out); err != nil {
		return fmt.Errorf("find the build output: %w", err)
	}
	cache, err := node.CacheDir()
	if err != nil {
		return err
	}
	progress := node.NewProgress(os.Stdout)
	n, err := node.Start(ctx, node.Options{Name: o.name, Out: o.out, Cache: cache, Progress: progress})
	if err != nil {
		return err
	}
	defer func() {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), 90*time.Second)
		defer cancel()
		err = errors.Join(err, n.KeepLogs(), n.Stop(cleaning))
	}()
	suite, err := node.BuildSuite(ctx, cache, progress)
	if err != nil {
		return err
	}
	if err := serveImages(ctx, n, suite, o.out); err != nil {
		return err
	}
	var errs []error
	for _, handler := range o.handlers {
		errs = append(errs, try(ctx, n, suite, o, handler, expected, progress))
	}
	return errors.Join(errs...)
}

// serveImages starts the registry, which ends with this program.
func serveImages(ctx context.Context, n *node.Node, suite node.Suite, out string) error {
	all, err := images.CRITest(ctx, filepath.Join(out, "node"), suite.Busybox, node.PauseImage)
	if err != nil {
		return err
	}
	handler, err := registry.New(all...)
	if err != nil {
		return err
	}
	listener, err := n.Listen(ctx, node.Registry)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // a pull that fails says what is wrong
	return nil
}

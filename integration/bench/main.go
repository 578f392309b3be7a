// SPDX-License-Identifier: Apache-2.0

// Command bench measures pods on a private node, with this project's runtime and with runc side by side: how they
// start, what they cost, what works in them. It prints a table, and writes it as JSON and, with charts, as HTML.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/kubelet"
	"github.com/katapod/katapod/integration/node"
)

// options are what the command line says.
type options struct {
	out     string
	runs    int
	only    *regexp.Regexp
	earlier string
}

func main() {
	var o options
	flag.StringVar(&o.out, "out", "out", "the project's build output, which the report goes to as well")
	flag.IntVar(&o.runs, "runs", 10, "pods of each kind; what takes long is done less often")
	only := flag.String("only", "", "run just the suites whose name matches this regular expression")
	flag.StringVar(&o.earlier, "compare", "", "a bench.json of an earlier run, shown beside this one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if o.only, err = regexp.Compile(*only); err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "\nThe benchmark failed: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	if o.out, err = filepath.Abs(o.out); err != nil {
		return fmt.Errorf("find the build output: %w", err)
	}
	if o.runs < 1 {
		return fmt.Errorf("-runs is %d and has to be at least 1", o.runs)
	}
	earlier, err := readEarlier(o.earlier)
	if err != nil {
		return err
	}
	cache, err := node.CacheDir()
	if err != nil {
		return err
	}
	progress := node.NewProgress(os.Stdout)
	n, err := node.Start(ctx, node.Options{Name: "kpnode-bench", Out: o.out, Cache: cache, Progress: progress})
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
	b := &bench{node: n, progress: progress, runs: o.runs, ours: samples{}, runc: samples{}}
	failed := b.all(ctx, o)
	return errors.Join(failed, report(o.out, figures(b.ours, b.runc), earlier))
}

// all runs the suites. One that fails does not keep the others from running; the report shows what there is.
func (b *bench) all(ctx context.Context, o options) (err error) {
	if err := b.importImages(ctx, filepath.Join(o.out, "node")); err != nil {
		return err
	}
	if b.Client, err = kubelet.New(b.node, "bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	var failed []error
	for _, s := range suites() {
		if !o.only.MatchString(s.name) || ctx.Err() != nil {
			continue
		}
		if err := b.progress.Step("measure "+s.name, func() error { return s.run(ctx, b) }); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return errors.Join(append(failed, ctx.Err())...)
}

func (b *bench) importImages(ctx context.Context, dir string) error {
	common, err := images.Build(ctx, dir, node.PauseImage)
	if err != nil {
		return err
	}
	own, err := images.BuildBench(ctx, dir)
	if err != nil {
		return err
	}
	return errors.Join(b.node.ImportImages(ctx, common), b.node.ImportImages(ctx, own))
}

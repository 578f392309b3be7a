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
	"slices"
	"syscall"
	"time"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/kubelet"
	"github.com/katapod/katapod/integration/node"
)

// options are what the command line says.
type options struct {
	out     string
	report  string
	name    string
	runs    int
	crowd   int
	only    *regexp.Regexp
	earlier string
	// overhead is a file for the measured overhead.
	overhead string
}

func main() {
	var o options
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := o.parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "\nThe benchmark failed: %v\n", err)
		os.Exit(1)
	}
}

func (o *options) define(flags *flag.FlagSet) {
	flags.StringVar(&o.out, "out", "out", "the project's build output")
	flags.StringVar(&o.report, "report", "", "the directory for bench.json and bench.html; empty is the build output")
	flags.StringVar(&o.name, "name", "kpnode-bench", "name of the node; one of each name runs at a time")
	flags.IntVar(&o.runs, "runs", 10, "pods of each kind; what takes long is done less often")
	flags.IntVar(&o.crowd, "pods", 100, "idle pods of the density suite")
	flags.Func("only", "run just the suites whose name matches this regular expression", func(text string) (err error) {
		o.only, err = regexp.Compile(text)
		return err
	})
	flags.StringVar(&o.earlier, "compare", "", "a bench.json of an earlier run, shown beside this one")
	flags.StringVar(&o.overhead, "overhead", "", "write the overhead of a pod to this JSON file, as package sizing reads it")
}

// parse reads the command line and checks it.
func (o *options) parse(args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	o.define(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("only options are taken, and there is %q", flags.Args())
	case o.runs < 1:
		return fmt.Errorf("-runs is %d and has to be at least 1", o.runs)
	case o.crowd < leastCrowd:
		return fmt.Errorf("-pods is %d and has to be at least %d", o.crowd, leastCrowd)
	case o.only != nil && !slices.ContainsFunc(suites(), func(s suite) bool { return o.only.MatchString(s.name) }):
		return fmt.Errorf("-only %q is the name of no suite", o.only)
	case o.only == nil:
		o.only = regexp.MustCompile("")
	}
	if o.report == "" {
		o.report = o.out
	}
	return nil
}

func run(ctx context.Context, o options) (err error) {
	if o.out, err = filepath.Abs(o.out); err != nil {
		return fmt.Errorf("find the build output: %w", err)
	}
	if o.report, err = filepath.Abs(o.report); err != nil {
		return fmt.Errorf("find the directory for the report: %w", err)
	}
	if err := os.MkdirAll(o.report, 0o755); err != nil {
		return fmt.Errorf("make the directory for the report: %w", err)
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
	n, err := node.Start(ctx, node.Options{Name: o.name, Out: o.out, Cache: cache, Progress: progress})
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
	b := &bench{node: n, progress: progress, runs: o.runs, crowd: o.crowd, ours: samples{}, runc: samples{}, overheadFile: o.overhead}
	b.removeLeft = n.RemoveAll
	went, failed := b.all(ctx, o)
	r := results{figures: figures(rows(o.crowd), b.ours, b.runc, went), curves: b.curves, earlier: earlier}
	return errors.Join(failed, r.write(o.report))
}

// all runs the suites and says how each went. What they all need and cannot be had fails them all.
func (b *bench) all(ctx context.Context, o options) (outcomes, error) {
	chosen := slices.DeleteFunc(suites(), func(s suite) bool { return !o.only.MatchString(s.name) })
	if err := b.prepare(ctx, o); err != nil {
		went := outcomes{}
		for _, s := range chosen {
			went[s.name] = false
		}
		return went, err
	}
	went, err := b.each(ctx, chosen)
	return went, errors.Join(err, b.Close())
}

// prepare loads the images, connects, and has pods start until one is cloned.
func (b *bench) prepare(ctx context.Context, o options) (err error) {
	if err := b.importImages(ctx, filepath.Join(o.out, "node")); err != nil {
		return err
	}
	if b.Client, err = kubelet.New(b.node, "bench"); err != nil {
		return err
	}
	if err := b.progress.Step("prepare a template", func() error { return b.awaitTemplate(ctx, ways[0]) }); err != nil {
		return errors.Join(err, b.Close())
	}
	return nil
}

func (b *bench) importImages(ctx context.Context, dir string) error {
	if _, err := b.node.LoadImages(ctx, dir); err != nil {
		return err
	}
	own, err := images.BuildBench(ctx, dir)
	if err != nil {
		return err
	}
	return b.node.ImportImages(ctx, own)
}

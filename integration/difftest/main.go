// SPDX-License-Identifier: Apache-2.0

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

	"github.com/katapod/katapod/integration/conformance"
	"github.com/katapod/katapod/integration/node"
)

type settings struct {
	name, out, page string
	rows            *regexp.Regexp
	verbose         bool
	count           int
}

func main() {
	var o settings
	flag.StringVar(&o.name, "name", "kpnode-diff", "name of the node; one of each name runs at a time")
	flag.StringVar(&o.out, "out", "out", "the project's build output, which the report goes to as well")
	flag.StringVar(&o.page, "expected", "docs/conformance.md", "the list of expected differences")
	flag.BoolVar(&o.verbose, "v", false, "write the whole transcripts of every row to the report")
	flag.IntVar(&o.count, "count", 1, "how often each row is run")
	pattern := flag.String("run", "", "regular expression of the rows to run; empty means all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if o.rows, err = regexp.Compile(*pattern); err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "\ndifftest: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o settings) (err error) {
	expected, err := readExpected(o.page)
	if err != nil {
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
	if _, err := n.LoadImages(ctx, filepath.Join(o.out, "node")); err != nil {
		return err
	}
	chosen := slices.Repeat(choose(rows(), o.rows), o.count)
	results, err := compareAll(ctx, n, chosen, progress)
	if err != nil {
		return err
	}
	return conclude(results, expected, o, len(chosen) == o.count*len(rows()))
}

func readExpected(path string) (conformance.Expected, error) {
	page, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the list of expected differences: %w", err)
	}
	expected, err := conformance.ReadExpected(page)
	return expected, errors.Join(err, page.Close())
}

func choose(all []row, pattern *regexp.Regexp) []row {
	var chosen []row
	for _, r := range all {
		if pattern.MatchString(r.name) {
			chosen = append(chosen, r)
		}
	}
	return chosen
}

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
	"syscall"
	"time"

	"github.com/katapod/katapod/integration/kubelet"
	"github.com/katapod/katapod/integration/node"
)

// options are what the command line says.
type options struct {
	out, name, handler string
	// pods come one after another; then bursts of atOnce pods.
	pods, bursts, atOnce int
}

func main() {
	var o options
	flag.StringVar(&o.out, "out", "out", "the project's build output, which soak.svg goes to as well")
	flag.StringVar(&o.name, "name", "kpnode-soak", "name of the node; one of each name runs at a time")
	flag.StringVar(&o.handler, "handler", "kata-erofs", "CRI runtime handler; runc-erofs shows what containerd itself does")
	flag.IntVar(&o.pods, "pods", 200, "pods that come and go one after another")
	flag.IntVar(&o.bursts, "bursts", 3, "how often many pods come and go at once")
	flag.IntVar(&o.atOnce, "at-once", 20, "how many those are")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "\nThe soak failed: %v\n", err)
		os.Exit(1)
	}
}

// debugSocket is added to containerd's configuration: its pprof handlers are there.
const debugSocket = `
[plugins.'io.containerd.server.v1.debug']
  address = '{{.Root}}/run/debug.sock'
`

func run(ctx context.Context, o options) (err error) {
	if o.out, err = filepath.Abs(o.out); err != nil {
		return fmt.Errorf("find the build output: %w", err)
	}
	if o.pods < fewest {
		return fmt.Errorf("-pods is %d and has to be at least %d: no slope is fitted to less", o.pods, fewest)
	}
	cache, err := node.CacheDir()
	if err != nil {
		return err
	}
	progress := node.NewProgress(os.Stdout)
	n, err := node.Start(ctx, node.Options{Name: o.name, Out: o.out, Cache: cache, Progress: progress, MoreConfig: debugSocket})
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
	if _, err := n.LoadImages(ctx, filepath.Join(o.out, "node")); err != nil {
		return err
	}
	client, err := kubelet.New(n, "soak")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	s := &soak{Client: client, node: n, progress: progress, options: o}
	failed := s.all(ctx)
	return errors.Join(failed, s.report())
}

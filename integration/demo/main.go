// SPDX-License-Identifier: Apache-2.0

// Command demo shows pods in virtual machines on a private node, and checks everything it shows. It exits with an
// error that says what is not as it should be.
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

	"github.com/katapod/katapod/integration/node"
)

func main() {
	handler := flag.String("runtime", "kata", "CRI runtime handler: kata, or runc to compare")
	out := flag.String("out", "out", "the project's build output")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	progress := node.NewProgress(os.Stdout)
	err := run(ctx, progress, *handler, *out)
	if ctx.Err() != nil {
		err = errors.Join(errors.New("it was interrupted"), err)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "\nThe demo failed: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("\nEverything is as it should be, after %.1f s.\n", progress.Elapsed().Seconds())
}

// run starts the node, shows everything on it, and removes it whatever happens.
func run(ctx context.Context, progress *node.Progress, handler, out string) (err error) {
	out, err = filepath.Abs(out)
	if err != nil {
		return fmt.Errorf("find the build output: %w", err)
	}
	cache, err := node.CacheDir()
	if err != nil {
		return err
	}
	progress.Heading("A private node")
	n, err := node.Start(ctx, node.Options{Name: "kpnode-demo", Out: out, Cache: cache, Progress: progress})
	if err != nil {
		return err
	}
	defer func() {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), 90*time.Second)
		defer cancel()
		if err != nil {
			err = errors.Join(err, n.KeepLogs())
		}
		stop := progress.Step("stop the node and remove its files", func() error { return n.Stop(cleaning) })
		err = errors.Join(err, stop)
	}()
	d := &demo{Node: n, ctx: ctx, progress: progress, handler: handler}
	if err := d.prepare(); err != nil {
		return err
	}
	return d.show()
}

// prepare loads the images and looks at the empty node.
func (d *demo) prepare() error {
	if err := d.progress.Step("make and load the images (busybox, pause)", func() error {
		_, err := d.LoadImages(d.ctx, filepath.Join(d.Out, "node"))
		return err
	}); err != nil {
		return err
	}
	var err error
	d.empty, err = d.Inventory(d.ctx)
	return err
}

func (d *demo) show() error {
	for _, part := range []struct {
		title string
		show  func() error
	}{
		{"A container of ctr, in a virtual machine of its own", d.showCtr},
		{"A pod of two containers, through CRI", d.showPod},
		{"What the containers share, and what not", d.showSharing},
		{"Exec, attach, logs, stats", d.showStreams},
		{"The network: a second pod, the node, IPv4, IPv6, a published port, a forwarded one", d.showNetwork},
		{"Start-up and memory", d.showNumbers},
		{"Removed, and nothing left", d.showRemoval},
	} {
		d.progress.Heading("%s", part.title)
		if err := part.show(); err != nil {
			return err
		}
	}
	return nil
}

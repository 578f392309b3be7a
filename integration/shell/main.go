// SPDX-License-Identifier: Apache-2.0

// Command shell runs a command, or a shell, inside a private node: ctr and crictl there speak to its containerd, and
// the images of the tests are loaded. The node ends with the command.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

func main() {
	out := flag.String("out", "out", "the project's build output")
	name := flag.String("name", "kpnode-shell", "name of the node; one of each name runs at a time")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: shell [-out DIR] [-name NAME] [COMMAND [ARGUMENT...]]")
		flag.PrintDefaults()
	}
	flag.Parse()
	words := flag.Args()
	if len(words) == 0 {
		words = []string{"bash"}
	}
	if err := run(context.Background(), *name, *out, words); err != nil {
		fmt.Fprintln(os.Stderr, "shell in a node:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, name, out string, words []string) (err error) {
	out, err = filepath.Abs(out)
	if err != nil {
		return fmt.Errorf("find the build output: %w", err)
	}
	cache, err := node.CacheDir()
	if err != nil {
		return err
	}
	n, err := node.Start(ctx, node.Options{Name: name, Out: out, Cache: cache, Progress: node.NewProgress(os.Stderr)})
	if err != nil {
		return err
	}
	defer func() {
		cleaning, cancel := context.WithTimeout(ctx, 90*time.Second)
		defer cancel()
		err = errors.Join(err, n.Stop(cleaning))
	}()
	if _, err := n.LoadImages(ctx, filepath.Join(out, "node")); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "images: %s; runtime: io.containerd.kata.v2; configuration: %s; log: %s\n",
		images.Busybox, n.KataConfig(), n.Log())
	cmd := n.Runner().Command(ctx, words[0], words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(cmd.Env, "TERM="+os.Getenv("TERM"))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the command in the node: %w", err)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

// Command build makes the programs of a private node (containerd, runc, CNI plugins, crictl) ahead of the first node,
// and prints the directory that holds them.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/katapod/katapod/integration/node"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cache, err := node.CacheDir()
	if err == nil {
		var bin string
		if bin, err = node.Binaries(ctx, cache, node.NewProgress(os.Stdout)); err == nil {
			fmt.Println("the node's programs are in", bin)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the node's programs:", err)
		os.Exit(1)
	}
}

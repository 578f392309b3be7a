// SPDX-License-Identifier: Apache-2.0

// Command kata-ctl looks at this host and at the pods on it.
package main

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/cmd/kata-ctl/internal/ctl"
)

// version is set by the linker.
var version = "unknown"

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	return ctl.Tool{Version: version, Out: os.Stdout, Err: os.Stderr, Pods: ctl.RealPods{}}.Run(ctx, os.Args[1:])
}

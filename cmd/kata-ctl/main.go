// SPDX-License-Identifier: Apache-2.0

// Command kata-ctl looks at this host and at the pods on it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/cmd/kata-ctl/internal/ctl"
	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/template"
)

// version is set by the linker.
var version = "unknown"

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if slices.Equal(os.Args[1:], []string{template.Command}) {
		if err := sandbox.ServeBuilder(ctx, os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	tool := ctl.Tool{Version: version, Out: os.Stdout, Err: os.Stderr, Pods: ctl.RealPods{}, Program: "/proc/self/exe"}
	return tool.Run(ctx, os.Args[1:])
}

// SPDX-License-Identifier: Apache-2.0

// Command containerd-shim-kata-v2 runs a pod in a VM. Containerd starts it.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/template"
	"github.com/katapod/katapod/shim/bootstrap"
	"github.com/katapod/katapod/shim/daemon"
)

// version is set by the linker.
var version = "unknown"

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if slices.Equal(args, []string{template.Command}) {
		return sandbox.ServeBuilder(ctx, os.Stdin)
	}
	shim := bootstrap.Binary{Version: version, Cleanup: sandbox.Cleanup, Serve: daemon.Serve}
	return shim.Run(ctx, args, os.Stdin, os.Stdout)
}

// SPDX-License-Identifier: Apache-2.0

// Command containerd-shim-kata-v2 runs a pod in a VM. Containerd starts it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/shim/bootstrap"
	"github.com/katapod/katapod/shim/daemon"
)

// version is set by the linker.
var version = "unknown"

func main() {
	shim := bootstrap.Binary{Version: version, Cleanup: sandbox.Cleanup, Serve: daemon.Serve}
	if err := shim.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

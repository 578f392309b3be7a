// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"fmt"
	"os"

	"github.com/containerd/containerd/v2/pkg/shim"
)

// Run is the whole of the shim's binary. It answers the command line, or serves
// with the services that register registers, and returns when that is over.
func Run(ctx context.Context, s Shim, register func()) error {
	inv, err := ParseArgs(os.Args[1:])
	if err != nil {
		return err
	}
	switch {
	case inv.Version:
		fmt.Printf("%s %s\n", RuntimeName, s.Version)
		return nil
	case inv.Action == ActionStart:
		return Start(ctx, inv, os.Stdin, os.Stdout)
	}
	if inv.Action == "" && !inv.Info {
		register()
	}
	shim.RunShim(ctx, s, withoutReaper)
	return nil
}

// withoutReaper leaves children to os/exec, which waits for each of them.
func withoutReaper(c *shim.Config) {
	c.NoReaper = true
	c.NoSubreaper = true
}

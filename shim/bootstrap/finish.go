// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// CleanupCommand, with a state directory behind it, makes the shim's binary clean
// up after a pod and do nothing else.
const CleanupCommand = "clean-up"

// inTime is the cleanup of a delete action that ends with ctx. What is not
// released by then, a process of its own goes on with, which nobody kills; engines
// read of it what is written to warnings. When that one fails too, the next pod
// that starts takes it up.
func (c CleanupFunc) inTime(warnings io.Writer) CleanupFunc {
	return func(ctx context.Context, stateDir string) error {
		err := c(ctx, stateDir)
		if err == nil || ctx.Err() == nil {
			return err
		}
		if failed := spawnCleanup(stateDir); failed != nil {
			return errors.Join(err, failed)
		}
		fmt.Fprintf(warnings, "the clean-up goes on in the background: %v\n", err)
		return nil
	}
}

// spawnCleanup starts this binary for the rest of a clean-up and leaves it alone.
func spawnCleanup(stateDir string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the shim's own binary: %w", err)
	}
	cmd := exec.Command(self, CleanupCommand, stateDir)
	cmd.Dir = "/" // the bundle is removed meanwhile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start a process that goes on with the clean-up: %w", err)
	}
	return cmd.Process.Release()
}

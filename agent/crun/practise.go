// SPDX-License-Identifier: Apache-2.0

package crun

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/thread"
)

// lowest is the priority of a program that runs only when nothing else wants to, see
// nice(2).
const lowest = 19

// Practise runs crun once, at the lowest priority, for nothing but to have been run.
// An emulator translates code when it is executed first: between the start of a pod
// and its first container the guest has nothing to do, and what it does then of the
// start of a program, in the kernel, in the agent and in crun, the container need not
// wait for. A real processor gains nothing.
func (r *Runtime) Practise(ctx context.Context, dir string) error {
	return thread.Run(func() error {
		// On Linux the priority is the thread's, and its children's.
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, lowest); err != nil {
			return fmt.Errorf("lower the priority of a program: %w", err)
		}
		c, err := r.command(dir)
		if err != nil {
			return err
		}
		_, err = c.Version(ctx)
		return explain(c, "--version", "none", err)
	})
}

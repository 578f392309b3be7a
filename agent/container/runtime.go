// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/agent/reaper"
)

// Runtime is the OCI runtime. dir is a directory for its files about the
// container, removed with it.
type Runtime interface {
	// Create makes the container of a bundle; its first process stands before
	// its program.
	Create(ctx context.Context, id, bundle string, files Files) (Started, error)
	// Start lets the first process go on to its program.
	Start(ctx context.Context, id, dir string) error
	// Exec starts another process.
	Exec(ctx context.Context, id, dir string, process *specs.Process, files Files) (Started, error)
	// Update changes limits.
	Update(ctx context.Context, id, dir string, resources *specs.LinuxResources) error
	// Delete removes the container and kills what runs in it; removing one that
	// is not there is no error.
	Delete(ctx context.Context, id, dir string) error
}

// Files are the ends of a process's standard streams that the process gets.
// With Terminal the other fields are nil and the runtime makes a terminal;
// without, all are set.
type Files struct {
	Stdin, Stdout, Stderr *os.File
	Terminal              bool
}

// Started is a process that the runtime has started.
type Started struct {
	PID int
	// Exit gets the process's end, once.
	Exit <-chan reaper.Exit
	// Terminal is the agent's end of the process's terminal, if it has one. The
	// receiver owns it.
	Terminal *os.File
}

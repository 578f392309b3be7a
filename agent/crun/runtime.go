// SPDX-License-Identifier: Apache-2.0

package crun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	runc "github.com/containerd/go-runc"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/agent/container"
	"github.com/katapod/katapod/agent/reaper"
)

// Runtime drives crun. It is safe for concurrent use, and calls for different
// containers do not wait for each other.
//
// runc.Monitor must be the reaper's: only then do crun's own exit codes reach
// go-runc.
type Runtime struct {
	// Command is the crun binary.
	Command string
	// Root is where crun keeps the states of its containers.
	Root string
	// NoPivot makes crun move the root mount instead of pivoting to it, for a
	// guest whose root is the kernel's first file system.
	NoPivot bool
	// Reaper gets the exit statuses of the containers' processes.
	Reaper *reaper.Reaper
}

// command returns crun with a log file of the call's own in dir. The caller
// passes the call's error to explain, which reads the file and removes it.
func (r *Runtime) command(dir string) (*runc.Runc, error) {
	f, err := os.CreateTemp(dir, "crun-log-")
	if err != nil {
		return nil, fmt.Errorf("make the log file of a crun call: %w", err)
	}
	_ = f.Close()
	return &runc.Runc{
		Command:   r.Command,
		Root:      r.Root,
		Log:       f.Name(),
		LogFormat: runc.JSON,
		ExtraArgs: []string{"--cgroup-manager=cgroupfs"},
	}, nil
}

// explain gives the error of a call crun's own words, and removes its log.
func explain(c *runc.Runc, what, id string, err error) error {
	data, _ := os.ReadFile(c.Log)
	_ = os.Remove(c.Log)
	if err == nil {
		return nil
	}
	words := message(data)
	if words == "" {
		return fmt.Errorf("crun %s of container %s: %w", what, id, err)
	}
	return &callError{what: what, id: id, words: words, cause: err}
}

// callError is a failed crun call: what crun said, and go-runc's error behind
// it, which would only repeat that crun failed.
type callError struct {
	what, id, words string
	cause           error
}

func (e *callError) Error() string {
	return fmt.Sprintf("crun %s of container %s: %s", e.what, e.id, e.words)
}

func (e *callError) Unwrap() error { return e.cause }

// Create makes the container of a bundle, its process stopped before the
// container's program.
func (r *Runtime) Create(ctx context.Context, id, bundle string, files container.Files) (container.Started, error) {
	return r.launch(ctx, "create", id, bundle, files, func(c *runc.Runc, l *launch) error {
		return c.Create(ctx, id, bundle, &runc.CreateOpts{IO: l.io(), PidFile: l.pidFile, ConsoleSocket: l.consoleSocket(), NoPivot: r.NoPivot})
	})
}

// Exec starts another process in a container. Its program runs when Exec
// returns; a program that is not there is an error that says so.
func (r *Runtime) Exec(ctx context.Context, id, dir string, spec *specs.Process, files container.Files) (container.Started, error) {
	return r.launch(ctx, "exec", id, dir, files, func(c *runc.Runc, l *launch) error {
		return c.Exec(ctx, id, *spec, &runc.ExecOpts{IO: l.io(), PidFile: l.pidFile, ConsoleSocket: l.consoleSocket(), Detach: true})
	})
}

// Start lets the process of a created container go on to its program.
func (r *Runtime) Start(ctx context.Context, id, dir string) error {
	c, err := r.command(dir)
	if err != nil {
		return err
	}
	return explain(c, "start", id, c.Start(ctx, id))
}

// Delete removes a container, killing what still runs in it. One that is not
// there is no error.
func (r *Runtime) Delete(ctx context.Context, id, dir string) error {
	c, err := r.command(dir)
	if err != nil {
		return err
	}
	err = explain(c, "delete", id, c.Delete(ctx, id, &runc.DeleteOpts{Force: true}))
	if _, gone := os.Stat(filepath.Join(r.Root, id)); errors.Is(gone, os.ErrNotExist) {
		return nil
	}
	return err
}

// Update changes the limits of a container.
func (r *Runtime) Update(ctx context.Context, id, dir string, resources *specs.LinuxResources) error {
	c, err := r.command(dir)
	if err != nil {
		return err
	}
	return explain(c, "update", id, c.Update(ctx, id, resources))
}

// readPID reads a PID file of crun's.
func readPID(path string) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read the PID that crun left: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("read the PID that crun left: %q is not a PID", data)
	}
	return pid, nil
}

// stdio is go-runc's view of a process's files: it only hands them to crun.
type stdio struct {
	runc.IO
	files container.Files
}

func (s stdio) Set(cmd *exec.Cmd) {
	// A nil *os.File in an interface would not be nil.
	if s.files.Stdin != nil {
		cmd.Stdin = s.files.Stdin
	}
	if s.files.Stdout != nil {
		cmd.Stdout = s.files.Stdout
	}
	if s.files.Stderr != nil {
		cmd.Stderr = s.files.Stderr
	}
}

func (s stdio) Close() error { return nil }

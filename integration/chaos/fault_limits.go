// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// exhaustFiles lets the shim open no further file.
func exhaustFiles(ctx context.Context, c *cycle) error {
	pid, err := c.await(ctx, c.shimPID)
	if err != nil {
		return err
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return errNoTarget
	}
	return c.limit(pid, unix.RLIMIT_NOFILE, uint64(len(open)))
}

func returnFiles(_ context.Context, c *cycle) error { return c.unlimit(unix.RLIMIT_NOFILE) }

// exhaustShimMemory lets the shim map no further memory.
func exhaustShimMemory(ctx context.Context, c *cycle) error {
	pid, err := c.await(ctx, c.shimPID)
	if err != nil {
		return err
	}
	return c.limitMemory(pid)
}

// exhaustVMMMemory is that for the VMM.
func exhaustVMMMemory(ctx context.Context, c *cycle) error {
	pid, err := c.await(ctx, c.vmmPID)
	if err != nil {
		return err
	}
	return c.limitMemory(pid)
}

func returnMemory(_ context.Context, c *cycle) error { return c.unlimit(unix.RLIMIT_AS) }

func (c *cycle) limitMemory(pid int) error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return errNoTarget
	}
	var kib uint64
	_, rest, _ := strings.Cut(string(text), "VmSize:")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return errNoTarget // it is ending
	}
	return c.limit(pid, unix.RLIMIT_AS, kib<<10)
}

// limit sets the soft limit of a process, and keeps the one it had.
func (c *cycle) limit(pid, resource int, most uint64) error {
	var was unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &was); err != nil {
		return limitError(pid, err)
	}
	c.struck.pid, c.struck.limit = pid, was
	return limitError(pid, unix.Prlimit(pid, resource, &unix.Rlimit{Cur: min(most, was.Max), Max: was.Max}, nil))
}

func (c *cycle) unlimit(resource int) error {
	err := limitError(c.struck.pid, unix.Prlimit(c.struck.pid, resource, &c.struck.limit, nil))
	if errors.Is(err, errNoTarget) {
		return nil
	}
	return err
}

func limitError(pid int, err error) error {
	if errors.Is(err, unix.ESRCH) {
		return errNoTarget
	}
	if err != nil {
		return fmt.Errorf("change a limit of process %d: %w", pid, err)
	}
	return nil
}

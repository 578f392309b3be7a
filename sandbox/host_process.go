// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/ledger"
)

// recordProcess puts a process of the pod in the ledger.
func (s *Sandbox) recordProcess(pid int) error {
	what, err := processOf(pid)
	if err != nil {
		return fmt.Errorf("record process %d: %w", pid, err)
	}
	return s.resources.acquire(s.life.ctx, what, func() error { return nil })
}

// processOf names a process that runs.
func processOf(pid int) (ledger.Resource, error) {
	started, err := startTime(pid)
	return ledger.Resource{Kind: ledger.Process, Args: []string{strconv.Itoa(pid), started}}, err
}

// startTime is field 22 of /proc/<pid>/stat, which tells a process from a later
// one with the same pid: clock ticks since boot.
func startTime(pid int) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The second field is the name in parentheses, which may hold anything.
	_, rest, found := bytes.Cut(text[bytes.LastIndexByte(text, ')')+1:], []byte(" "))
	fields := bytes.Fields(rest)
	const afterName = 22 - 3
	if !found || len(fields) <= afterName {
		return "", fmt.Errorf("/proc/%d/stat has an unknown form", pid)
	}
	return string(fields[afterName]), nil
}

// killProcess is the real Drivers.KillProcess.
func killProcess(ctx context.Context, pid, started string) error {
	number, err := strconv.Atoi(pid)
	if err != nil {
		return fmt.Errorf("kill process %q: %w", pid, err)
	}
	fd, err := unix.PidfdOpen(number, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", number, err)
	}
	defer func() { _ = unix.Close(fd) }()
	// The descriptor is of one process for good; is it the right one?
	now, err := startTime(number)
	// One that is reaped between opening and reading its file is ESRCH.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || err == nil && now != started {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at process %d: %w", number, err)
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", number, err)
	}
	return waitProcess(ctx, fd, number)
}

// waitProcess waits for the end of the process behind a pidfd.
func waitProcess(ctx context.Context, fd, pid int) error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(timeouts.KillLook.Milliseconds()))
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("wait for the end of process %d: %w", pid, err)
		case ctx.Err() != nil:
			return fmt.Errorf("wait for the end of process %d, which was killed: %w", pid, ctx.Err())
		}
	}
}

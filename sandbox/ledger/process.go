// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
)

// ProcessOf names the living process pid by its number and start time, so that
// another process that gets the number later is not taken for it. A process that
// is gone is errdefs.ErrNotFound.
func ProcessOf(pid int) (Resource, error) {
	start, err := startTime(pid)
	if err != nil {
		return Resource{}, fmt.Errorf("naming process %d for the ledger: %w", pid, err)
	}
	return Resource{Kind: Process, Args: []string{strconv.Itoa(pid), strconv.FormatUint(start, 10)}}, nil
}

// startTime reads field 22 of /proc/<pid>/stat: clock ticks since boot, see
// proc_pid_stat(5). The name of the program, in parentheses, may hold anything.
func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return 0, fmt.Errorf("it does not exist: %w", errdefs.ErrNotFound)
	}
	if err != nil {
		return 0, err
	}
	const afterName, startField = 3, 22
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) <= startField-afterName {
		return 0, fmt.Errorf("its stat file has %d fields after the name: %w", len(fields), errdefs.ErrInternal)
	}
	return strconv.ParseUint(string(fields[startField-afterName]), 10, 64)
}

// undoProcess kills a process and waits for its end. The pidfd pins the process
// before the start time is looked at, so that what is checked is what is killed.
func undoProcess(ctx context.Context, args []string) error {
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("process number %q: %w", args[0], err)
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening process %d: %w", pid, err)
	}
	process := os.NewFile(uintptr(fd), "pidfd")
	defer process.Close()
	start, err := startTime(pid)
	if errdefs.IsNotFound(err) || err == nil && strconv.FormatUint(start, 10) != args[1] {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at process %d: %w", pid, err)
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("killing process %d: %w", pid, err)
	}
	if err := waitEnd(ctx, process); err != nil {
		return fmt.Errorf("waiting for the end of process %d after SIGKILL: %w", pid, err)
	}
	return nil
}

// waitEnd waits until the pidfd is readable, which it is when the process has
// ended; its parent may not have reaped it.
func waitEnd(ctx context.Context, process *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, timeouts.Kill)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = process.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	conn, err := process.SyscallConn()
	if err != nil {
		return err
	}
	var pollErr error
	err = conn.Read(func(fd uintptr) bool {
		var ready int
		ready, pollErr = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return ready > 0 || pollErr != nil && !errors.Is(pollErr, unix.EINTR)
	})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, pollErr)
}

// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Freeze stops every process in the cgroup and returns when all have stopped.
// If ctx ends before, the cgroup is thawed again.
func (d Dir) Freeze(ctx context.Context) error {
	if err := d.setFrozen(ctx, "1", true); err != nil {
		_ = d.Write("cgroup.freeze", "0")
		return fmt.Errorf("freeze cgroup %s: %w", d, err)
	}
	return nil
}

// Thaw lets them go on, and returns when they do.
func (d Dir) Thaw(ctx context.Context) error {
	if err := d.setFrozen(ctx, "0", false); err != nil {
		return fmt.Errorf("thaw cgroup %s: %w", d, err)
	}
	return nil
}

// Frozen reports whether a freeze was asked for.
func (d Dir) Frozen() (bool, error) {
	n, err := d.Uint("cgroup.freeze")
	return n == 1, err
}

// setFrozen writes the wish and waits until cgroup.events reports it fulfilled;
// the kernel wakes pollers of that file on each change.
func (d Dir) setFrozen(ctx context.Context, wish string, want bool) error {
	events, err := os.Open(d.path("cgroup.events"))
	if err != nil {
		return fmt.Errorf("open the cgroup's events: %w", err)
	}
	defer func() { _ = events.Close() }()
	if err := d.Write("cgroup.freeze", wish); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("wait for the processes: %w", err)
		}
		now, err := frozen(events)
		if err != nil {
			return err
		}
		if now == want {
			return nil
		}
		if err := pollPriority(events, pollSlice); err != nil {
			return err
		}
	}
}

// pollSlice is how long a wait for the kernel may not look at its context.
const pollSlice = 100 * time.Millisecond

// frozen reads the state through the descriptor that is polled: the kernel
// reports changes since that descriptor's last read.
func frozen(events *os.File) (bool, error) {
	buf := make([]byte, 256)
	n, err := events.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read the cgroup's events: %w", err)
	}
	return strings.Contains(string(buf[:n]), "frozen 1"), nil
}

func pollPriority(f *os.File, limit time.Duration) error {
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}
	if _, err := unix.Poll(fds, int(limit/time.Millisecond)); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for a change of the cgroup: %w", err)
	}
	return nil
}

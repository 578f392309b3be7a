// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/containerd/log"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/shim/bootstrap"
)

// logFIFO is what containerd makes in the bundle and copies to its own log.
const logFIFO = "log"

// setLogger sends the log, and what the Go runtime has to say about a crash, to
// containerd's FIFO. An engine that makes none gets no log.
//
// The FIFO is held open for reading, too, and written without blocking: what
// comes while containerd restarts waits in it, and a line that does not fit is
// lost rather than the pod held up.
func setLogger(ctx context.Context, inv bootstrap.Invocation) (context.Context, error) {
	if err := log.SetFormat(log.TextFormat); err != nil {
		return ctx, fmt.Errorf("set the log's format: %w", err)
	}
	if inv.Debug {
		if err := log.SetLevel("debug"); err != nil {
			return ctx, fmt.Errorf("set the log's level: %w", err)
		}
	}
	fd, err := unix.Open(logFIFO, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
	case err != nil:
		return ctx, fmt.Errorf("open containerd's log FIFO: %w", err)
	default:
		if err := unix.Dup3(fd, int(os.Stderr.Fd()), 0); err != nil {
			return ctx, fmt.Errorf("send the log to containerd's FIFO: %w", err)
		}
		log.L.Logger.SetOutput(lossy(fd))
	}
	return log.WithLogger(ctx, log.G(ctx).WithField("runtime", bootstrap.RuntimeName)), nil
}

// lossy writes to a file descriptor whatever fits.
type lossy int

func (fd lossy) Write(line []byte) (int, error) {
	if _, err := unix.Write(int(fd), line); err != nil && !errors.Is(err, unix.EAGAIN) {
		return 0, fmt.Errorf("write the log: %w", err)
	}
	return len(line), nil
}

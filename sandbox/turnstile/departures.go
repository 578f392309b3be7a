// SPDX-License-Identifier: Apache-2.0

package turnstile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
)

// departures tells when a place is given back, see give and inotify(7).
type departures struct {
	*os.File
	stop func() bool
}

// watchDepartures begins to watch. The caller closes the watch; the end of ctx ends a
// wait.
func watchDepartures(ctx context.Context, dir string) (departures, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return departures{}, fmt.Errorf("watch it: %w", err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MODIFY); err != nil {
		return departures{}, errors.Join(fmt.Errorf("watch it: %w", err), file.Close())
	}
	stop := context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })
	return departures{File: file, stop: stop}, nil
}

// wait returns after the next departure, or when it is time to look.
func (d departures) wait(ctx context.Context) error {
	if err := d.SetReadDeadline(time.Now().Add(timeouts.PlaceLook)); err != nil {
		return err
	}
	if ctx.Err() != nil { // It may have ended just before the new deadline.
		return context.Cause(ctx)
	}
	var events [4096]byte
	_, err := d.Read(events[:])
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	}
	return err
}

// Close ends the watch.
func (d departures) Close() error {
	d.stop()
	return d.File.Close()
}

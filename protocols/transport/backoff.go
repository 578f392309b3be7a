// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"time"
)

// Bounds of the waits between two tries where the kernel offers no event: a
// socket file that a VMM is about to make, a guest port nobody listens on yet,
// a virtio-serial port whose host side is away.
const (
	firstWait = time.Millisecond
	lastWait  = 20 * time.Millisecond
)

// backoff counts the waits of one series of tries. The zero value starts anew.
type backoff struct {
	last time.Duration
}

// wait blocks for the next interval of the series, or until ctx ends, whose
// cause it then returns.
func (b *backoff) wait(ctx context.Context) error {
	b.last = min(max(b.last*2, firstWait), lastWait)
	t := time.NewTimer(b.last)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

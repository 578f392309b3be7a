// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
)

// launchesAtOnce is how many execs of a pod the guest begins at a time. A guest
// has one or two processors and little memory: more at a time end no sooner
// together, and later each, and each holds some megabytes until it runs. The time
// that a call may take counts from its turn on.
const launchesAtOnce = 8

// turns let a number of callers do something at a time, which is the channel's
// capacity.
type turns chan struct{}

// enter waits for a turn, which the caller gives back by done. It gives up when
// ctx ends.
func (t turns) enter(ctx context.Context) (done func(), err error) {
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

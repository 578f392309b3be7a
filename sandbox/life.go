// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
)

// errStopped is the cause of a life that ended because somebody asked for it.
var errStopped = errors.New("the pod was stopped")

// life is the time in which the guest can be asked. Its end, by Stop or by the
// death of anything, cancels whatever waits for the guest.
type life struct {
	ctx context.Context
	end context.CancelCauseFunc
}

// newLife outlives the call that makes it: a pod lives until it is stopped.
func newLife() life {
	ctx, end := context.WithCancelCause(context.Background())
	return life{ctx: ctx, end: end}
}

// over tells whether the life has ended.
func (l life) over() bool { return l.ctx.Err() != nil }

// during derives a context that ends with ctx, with the life, or after timeout,
// whichever is first; a timeout of 0 is none.
func (l life) during(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	joined, cancel := context.WithCancelCause(ctx)
	unlink := context.AfterFunc(l.ctx, func() { cancel(context.Cause(l.ctx)) })
	stop := func() {
		unlink()
		cancel(context.Canceled)
	}
	if timeout == 0 {
		return joined, stop
	}
	timed, cancelTimed := context.WithTimeout(joined, timeout)
	return timed, func() {
		cancelTimed()
		stop()
	}
}

// explain puts the life's end in the place of an error that it caused.
func (l life) explain(what string, err error) error {
	if l.over() {
		return fmt.Errorf("%s: %w: %w", what, errdefs.ErrUnavailable, context.Cause(l.ctx))
	}
	return fmt.Errorf("%s: %w", what, err)
}

// wait returns after d or at the life's end.
func (l life) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.ctx.Done():
	}
}

// explainIfOver is like explain once the life is over, and leaves the cause of
// err to itself before.
func (l life) explainIfOver(what string, err error) error {
	if l.over() && !errors.Is(err, errdefs.ErrUnavailable) {
		return l.explain(what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

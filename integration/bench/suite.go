// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// suite measures one thing, with both runtimes. One that takes longer than its limit has failed: the run as a whole
// ends, whatever hangs.
type suite struct {
	name  string
	limit time.Duration
	run   func(context.Context, *bench) error
}

func suites() []suite {
	return []suite{
		{"pods", 8 * time.Minute, pods},
		{"burst", 5 * time.Minute, burst},
		{"ctr", 4 * time.Minute, commands},
		{"reclaim", 4 * time.Minute, reclaim},
		{"disk", 4 * time.Minute, disk},
		{"share", 6 * time.Minute, share},
		{"network", 4 * time.Minute, network},
		{"stdio", 4 * time.Minute, stdio},
		{"density", 12 * time.Minute, density},
		{"overhead", 3 * time.Minute, overhead},
	}
}

// cleaningLimit bounds the removal of a suite's pods, which goes on when the suite's own time is over.
const cleaningLimit = 90 * time.Second

func cleaning(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleaningLimit)
}

// each runs suites one after the other, and says how each went. One that fails does not keep the others from running.
func (b *bench) each(ctx context.Context, all []suite) (outcomes, error) {
	went := outcomes{}
	var failed []error
	for _, s := range all {
		if ctx.Err() != nil {
			break
		}
		err := b.progress.Step("measure "+s.name, func() error { return b.one(ctx, s) })
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
		}
		went[s.name] = err == nil
	}
	return went, errors.Join(append(failed, ctx.Err())...)
}

// one runs a suite within its limit. What pods a failed one leaves are removed, since they would be in the way of the
// next.
func (b *bench) one(ctx context.Context, s suite) error {
	limited, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("the suite did not end within %v", s.limit))
	defer cancel()
	err := s.run(limited, b)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if limited.Err() != nil {
		err = errors.Join(context.Cause(limited), err)
	}
	clean, done := cleaning(ctx)
	defer done()
	if removed := b.removeLeft(clean); removed != nil {
		err = errors.Join(err, fmt.Errorf("remove the pods that the suite left: %w", removed))
	}
	return err
}

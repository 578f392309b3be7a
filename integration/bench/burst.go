// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const burstName = "20 pods at once, all running"

const burstSize = 20

// burst starts many pods at the same moment, and wants every one of them.
func burst(ctx context.Context, b *bench) error {
	for range max(1, b.runs/5) {
		for _, s := range b.sides() {
			begin := time.Now()
			pods, err := b.many(ctx, s.handler, burstSize)
			if err == nil {
				s.samples.addTime(burstName, begin)
			}
			if err := errors.Join(err, b.removeAll(ctx, pods)); err != nil {
				return fmt.Errorf("with %s: %w", s.handler, err)
			}
		}
	}
	return nil
}

// many starts pods side by side and returns those that run, also with an error.
func (b *bench) many(ctx context.Context, handler string, count int) ([]pod, error) {
	started := make([]pod, count)
	group, groupCtx := errgroup.WithContext(ctx)
	for i := range count {
		group.Go(func() error {
			p, err := b.Start(groupCtx, handler, fmt.Sprintf("burst-%d", i), waiting(nil, nil))
			started[i] = p
			return err
		})
	}
	err := group.Wait()
	var running []pod
	for _, p := range started {
		if p.ID != "" {
			running = append(running, p)
		}
	}
	return running, err
}

func (b *bench) removeAll(ctx context.Context, pods []pod) error {
	var group errgroup.Group
	group.SetLimit(8)
	for _, p := range pods {
		group.Go(func() error { return b.remove(ctx, p) })
	}
	return group.Wait()
}

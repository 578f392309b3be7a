// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const reclaimName = "1.5 GiB used and freed in the guest: host memory back"

const (
	churned      = 3 << 29
	reclaimLimit = 60 * time.Second
)

// reclaim lets a process in the pod use much memory and end, and waits until the host has it back but for a tenth of
// what the pod had before.
func reclaim(ctx context.Context, b *bench) error {
	for range max(1, b.runs/5) {
		for _, s := range b.sides() {
			if err := b.reclaim(ctx, s); err != nil {
				return fmt.Errorf("with %s: %w", s.handler, err)
			}
		}
	}
	return nil
}

func (b *bench) reclaim(ctx context.Context, s side) (err error) {
	w := waiting(nil, &cri.LinuxContainerResources{MemoryLimitInBytes: 2 << 30})
	p, err := b.Start(ctx, s.handler, "bench", w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.remove(ctx, p)) }()
	// Once before, so that what the work leaves for good (code, page tables) is in the base.
	if _, err := b.Exec(ctx, p, "load", "churn", fmt.Sprint(1<<20)); err != nil {
		return err
	}
	base, err := b.memory()
	if err != nil {
		return err
	}
	if _, err := b.Exec(ctx, p, "load", "churn", fmt.Sprint(churned)); err != nil {
		return err
	}
	return b.waitBack(ctx, s, base.all)
}

// waitBack looks at the pod's memory until it is near the base. The host has no event for it.
func (b *bench) waitBack(ctx context.Context, s side, base float64) error {
	begin := time.Now()
	for {
		now, err := b.memory()
		if err != nil {
			return err
		}
		if now.all <= 1.1*base {
			s.samples.add(reclaimName, time.Since(begin).Seconds())
			return nil
		}
		if time.Since(begin) > reclaimLimit {
			return fmt.Errorf("the pod has %.0f MB after %v, and had %.0f MB before its process used memory",
				now.all, reclaimLimit, base)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/katapod/katapod/integration/node"
)

// idle is how long a pod is left alone before its memory counts: density is about pods that wait, and both shims give
// memory back when they do.
const idle = 5 * time.Second

func waitIdle(ctx context.Context) error {
	select {
	case <-time.After(idle):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// megabytes are what processes on the host have, as proportional set size.
type megabytes struct{ shim, vmm, helpers, workers, all float64 }

// memory is what all pods' processes on the host have now.
func (b *bench) memory() (megabytes, error) {
	processes, err := b.node.PodProcesses()
	if err != nil {
		return megabytes{}, err
	}
	m, err := node.MemoryOf(processes)
	if err != nil {
		return megabytes{}, err
	}
	const mb = 1e6
	all := m.Shim + m.VMM + m.Helpers + m.Workers
	return megabytes{
		float64(m.Shim) / mb, float64(m.VMM) / mb, float64(m.Helpers) / mb, float64(m.Workers) / mb, float64(all) / mb,
	}, nil
}

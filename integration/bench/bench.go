// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/katapod/katapod/integration/kubelet"
	"github.com/katapod/katapod/integration/node"
)

// bench is a run: where it measures and what it has measured so far, of this project's runtime and of runc.
type bench struct {
	*kubelet.Client
	node       *node.Node
	progress   *node.Progress
	runs       int // of what takes a second or so; longer things are done less often
	crowd      int // pods that are there at once where many idle ones are measured
	ours, runc samples
	curves     []curve
	// warming says that the pods do not count.
	warming bool
}

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
	}
}

// cleaningLimit bounds the removal of a suite's pods, which goes on when the suite's own time is over.
const cleaningLimit = 90 * time.Second

func cleaning(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleaningLimit)
}

// remove stops and removes a pod, also when the suite has failed or its time is over.
func (b *bench) remove(ctx context.Context, p pod) error {
	ctx, cancel := cleaning(ctx)
	defer cancel()
	return b.Remove(ctx, p)
}

// side is a runtime handler and where its samples go.
type side struct {
	handler string
	samples samples
}

// ours tells this project's runtime from runc.
func (s side) ours() bool { return strings.Contains(s.handler, "kata") }

// sides are both runtimes on containerd's EROFS snapshotter, runc first.
func (b *bench) sides() []side {
	return []side{{"runc-erofs", b.runc}, {"kata-erofs", b.ours}}
}

// inPod calls measure with a pod of each runtime.
func (b *bench) inPod(ctx context.Context, w workload, measure func(side, pod) error) error {
	for _, s := range b.sides() {
		p, err := b.Start(ctx, s.handler, "bench", w)
		if err != nil {
			return err
		}
		if err := errors.Join(measure(s, p), b.remove(ctx, p)); err != nil {
			return fmt.Errorf("with %s: %w", s.handler, err)
		}
	}
	return nil
}

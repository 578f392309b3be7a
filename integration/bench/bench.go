// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/katapod/katapod/integration/kubelet"
	"github.com/katapod/katapod/integration/node"
)

// bench is a run: where it measures and what it has measured so far, of this project's runtime and of runc.
type bench struct {
	*kubelet.Client
	node       *node.Node
	progress   *node.Progress
	runs       int // of what takes a second or so; longer things are done less often
	ours, runc samples
	// warming says that the pods do not count.
	warming bool
}

// suite measures one thing, with both runtimes.
type suite struct {
	name string
	run  func(context.Context, *bench) error
}

func suites() []suite {
	return []suite{
		{"pods", pods}, {"burst", burst}, {"ctr", commands}, {"reclaim", reclaim}, {"disk", disk},
		{"share", share}, {"network", network}, {"stdio", stdio}, {"density", density},
	}
}

// side is a runtime handler and where its samples go.
type side struct {
	handler string
	samples samples
}

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
		err = measure(s, p)
		if removed := b.Remove(ctx, p); err == nil {
			err = removed
		}
		if err != nil {
			return fmt.Errorf("with %s: %w", s.handler, err)
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
	// removeLeft removes whatever pods there are.
	removeLeft func(context.Context) error
	// overheadFile is where the measured overhead goes; "" is nowhere.
	overheadFile string
	// warming says that the pods do not count.
	warming bool
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

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/katapod/katapod/integration/images"
)

const ctrRun = "ctr run of a command to its output"

// shims are the runtimes by the names that ctr takes.
func (b *bench) shims() []side {
	return []side{{"io.containerd.runc.v2", b.runc}, {"io.containerd.kata.v2", b.ours}}
}

// commands runs a command in a container of its own, as users at a shell do.
func commands(ctx context.Context, b *bench) error {
	for i := range b.runs + 1 {
		for _, s := range b.shims() {
			begin := time.Now()
			said, err := b.node.Ctr(ctx, b.ctrRun(s, "run", "--rm", "--snapshotter", "erofs", images.Busybox,
				fmt.Sprintf("bench-%d", i), "echo", "hello")...)
			if err != nil {
				return err
			}
			if said != "hello\n" {
				return fmt.Errorf("ctr run with %s printed %q", s.handler, said)
			}
			if i > 0 { // the first warms the page cache
				s.samples.addTime(ctrRun, begin)
			}
		}
	}
	return nil
}

// ctrRun is a ctr command with the words that make it start this runtime.
func (b *bench) ctrRun(s side, command string, words ...string) []string {
	args := []string{command, "--runtime", s.handler}
	if s.handler == "io.containerd.runc.v2" {
		args = append(args, "--runc-root", b.node.Root+"/runc")
	}
	return append(args, words...)
}

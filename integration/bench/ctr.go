// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/sandbox"
)

const ctrRun = "ctr run of a command to its output, from template"

// shims are the runtimes by the names that ctr takes.
func (b *bench) shims() []side {
	return []side{{"io.containerd.runc.v2", b.runc}, {"io.containerd.kata.v2", b.ours}}
}

// commands runs a command in a container of its own, as users at a shell do.
func commands(ctx context.Context, b *bench) error {
	if err := b.expectClone(ctx); err != nil {
		return err
	}
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

// expectClone wants a container of ctr to start from the template that the pods have.
func (b *bench) expectClone(ctx context.Context) (err error) {
	const name = "clone"
	s := b.shims()[1]
	_, err = b.node.Ctr(ctx, b.ctrRun(s, "run", "--detach", "--snapshotter", "erofs", images.Bench, name, "load", "wait")...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.removeOfCtr(ctx, name)) }()
	line, err := b.node.TimelineOfCtr(name)
	if err != nil {
		return err
	}
	if line.Origin.Kind != sandbox.OriginTemplate {
		return fmt.Errorf("a container of ctr did not start from a template: %+v", line.Origin)
	}
	return nil
}

// removeOfCtr kills and removes a container of ctr, also when the suite has failed or its time is over.
func (b *bench) removeOfCtr(ctx context.Context, name string) error {
	ctx, cancel := cleaning(ctx)
	defer cancel()
	_, killed := b.node.Ctr(ctx, "tasks", "rm", "--force", name)
	_, removed := b.node.Ctr(ctx, "containers", "rm", name)
	return errors.Join(killed, removed)
}

// ctrRun is a ctr command with the words that make it start this runtime.
func (b *bench) ctrRun(s side, command string, words ...string) []string {
	args := []string{command, "--runtime", s.handler}
	if s.handler == "io.containerd.runc.v2" {
		args = append(args, "--runc-root", b.node.Root+"/runc")
	}
	return append(args, words...)
}

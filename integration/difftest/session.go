// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// session is a row's container on one side. Its methods do nothing once one of them has failed: see failed.
type session struct {
	ctx    context.Context
	side   *side
	id     string
	row    row
	spec   *specs.Spec
	log    transcript
	task   client.Task
	exit   <-chan client.ExitStatus
	stream *streams
	execs  int
	// refused says that the runtime did not make or start the container: nothing is left to drive.
	refused bool
	// failed is what went wrong with the test itself. Whatever the runtimes answer is no failure but a part of the
	// transcript.
	failed error
}

// rowTimeout is for one row on one side; a VM under emulation on a busy machine boots in eight seconds.
const rowTimeout = 90 * time.Second

// play runs the row on the side and returns its transcript, and what the errors in it said.
func (r row) play(ctx context.Context, s *side, id string) (text, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, rowTimeout)
	defer cancel()
	play := &session{ctx: ctx, side: s, id: id, row: r}
	if r.do != nil {
		r.do(play)
	} else {
		play.start()
		play.wait()
	}
	err = play.clean()
	if play.failed != nil {
		err = errors.Join(fmt.Errorf("under %s: %w; until then:\n%s", s.name, play.failed, play.log.String()), err)
	}
	return play.log.String(), play.log.errors.String(), err
}

func (p *session) done() bool { return p.failed != nil || p.refused }

func (p *session) fail(err error) {
	if err != nil && p.failed == nil {
		p.failed = err
	}
}

// create makes the container and its task.
func (p *session) create() {
	make := p.side.memberSpec
	if p.row.lone {
		make = p.side.loneSpec
	}
	spec, err := make(p.ctx, p.id)
	if err != nil {
		p.fail(err)
		return
	}
	if p.row.script != "" {
		spec.Process.Args = []string{"sh", "-c", p.row.script}
	}
	if p.row.change != nil {
		p.row.change(spec)
	}
	p.bindOwn(spec)
	p.spec = spec
	container, err := p.side.create(p.ctx, p.id, spec)
	if err != nil {
		p.fail(err)
		return
	}
	p.stream = newStreams(p.row.stdin)
	p.task, err = container.NewTask(p.ctx, p.stream.creator(p.side, spec.Process.Terminal))
	if err != nil {
		p.refused = true
		p.log.answer("create", err)
		return
	}
	p.stream.closer(p.closeStdin)
	p.exit, err = p.task.Wait(p.ctx)
	p.fail(err)
}

// bindOwn puts this side's directories in the place of "DIR:name" in the mounts, so that rows name them for both.
func (p *session) bindOwn(spec *specs.Spec) {
	for i, m := range spec.Mounts {
		if name, own := strings.CutPrefix(m.Source, ownDir); own {
			spec.Mounts[i].Source = p.side.dir(name)
		}
	}
}

// ownDir before a name is, as a mount's source, the side's own directory of that name.
const ownDir = "DIR:"

// start creates the container unless that was done, and starts it.
func (p *session) start() {
	if p.task == nil {
		p.create()
	}
	if p.done() {
		return
	}
	if err := p.task.Start(p.ctx); err != nil {
		p.refused = true
		p.log.answer("start", err)
	}
}

// expect waits until the container has printed the text.
func (p *session) expect(text string) {
	if p.done() {
		return
	}
	p.fail(p.stream.out.expect(p.ctx, text))
}

// typing sends text to the container's standard input, which stays open.
func (p *session) typing(text string) {
	if !p.done() {
		p.fail(p.stream.send(text))
	}
}

// endStdin ends the container's standard input.
func (p *session) endStdin() {
	if !p.done() {
		p.fail(p.stream.end())
	}
}

func (p *session) closeStdin() error {
	return p.task.CloseIO(p.ctx, client.WithStdinCloser)
}

// kill sends a signal and records the answer.
func (p *session) kill(signal syscall.Signal, options ...client.KillOpts) {
	if !p.done() {
		p.log.answer(fmt.Sprint("signal ", int(signal)), p.task.Kill(p.ctx, signal, options...))
	}
}

// ask records the answer to a call.
func (p *session) ask(what string, call func(context.Context) error) {
	if !p.done() {
		p.log.answer(what, call(p.ctx))
	}
}

// wait waits for the container's end and records how it ended and what it printed.
func (p *session) wait() {
	if p.done() {
		return
	}
	select {
	case status := <-p.exit:
		code, _, err := status.Result()
		p.fail(err)
		p.log.say("exit %d", code)
	case <-p.ctx.Done():
		p.fail(fmt.Errorf("the container did not end; it printed %q and %q", p.stream.out.text(), p.stream.err.text()))
		return
	}
	p.fail(drain(p.ctx, p.task))
	if _, err := p.task.Delete(p.ctx); err != nil {
		p.fail(fmt.Errorf("remove the ended task: %w", err))
		return
	}
	p.log.block("out", p.stream.out.text())
	p.log.block("err", p.stream.err.text())
}

// drain waits until all that an ended process printed was read. Delete would close its streams at once.
func drain(ctx context.Context, process client.Process) error {
	read := make(chan struct{})
	go func() {
		process.IO().Wait()
		close(read)
	}()
	select {
	case <-read:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the streams of an ended process did not end: %w", ctx.Err())
	}
}

// clean removes the container whatever became of the row.
func (p *session) clean() error {
	if p.spec == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), 30*time.Second)
	defer cancel()
	if p.stream != nil {
		p.fail(p.stream.end())
	}
	return remove(ctx, p.side.client, p.id)
}

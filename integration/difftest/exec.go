// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"

	"github.com/containerd/containerd/v2/client"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// execution is a process that joined the session's container.
type execution struct {
	of      *session
	process client.Process
	exit    <-chan client.ExitStatus
	stream  *streams
}

// exec runs a process in the container to its end and records how it ended and what it printed. change makes its
// description of that of the container's own process, without a terminal.
func (p *session) exec(stdin string, change func(*specs.Process)) {
	p.launch(stdin, change).wait()
}

// run is exec of a command that needs nothing else.
func (p *session) run(words ...string) {
	p.exec("", func(process *specs.Process) { process.Args = words })
}

// launch starts a process in the container. It returns nil, on which every method does nothing, when it cannot be.
func (p *session) launch(stdin string, change func(*specs.Process)) *execution {
	if p.done() {
		return nil
	}
	p.execs++
	process := *p.spec.Process
	process.Terminal, process.ConsoleSize = false, nil
	process.Env = slices.Clone(process.Env)
	change(&process)
	p.log.say("exec %q", process.Args)
	e := &execution{of: p, stream: newStreams(stdin)}
	var err error
	e.process, err = p.task.Exec(p.ctx, fmt.Sprintf("exec-%d", p.execs), &process, e.stream.creator(p.side, process.Terminal))
	if err != nil {
		p.log.answer("add", err)
		return nil
	}
	if e.exit, err = e.process.Wait(p.ctx); err != nil {
		p.fail(err)
		return nil
	}
	if err := e.process.Start(p.ctx); err != nil {
		p.log.answer("start", err)
		_, err = e.process.Delete(p.ctx)
		p.fail(err)
		return nil
	}
	// Not before: a shim opens the streams of an exec when it starts.
	e.stream.closer(func() error { return e.process.CloseIO(p.ctx, client.WithStdinCloser) })
	return e
}

func (e *execution) expect(text string) {
	if e != nil && !e.of.done() {
		e.of.fail(e.stream.out.expect(e.of.ctx, text))
	}
}

func (e *execution) wait() {
	if e == nil || e.of.done() {
		return
	}
	select {
	case status := <-e.exit:
		code, _, err := status.Result()
		e.of.fail(err)
		e.of.log.say("exit %d", code)
	case <-e.of.ctx.Done():
		e.of.fail(fmt.Errorf("an exec did not end; it printed %q and %q", e.stream.out.text(), e.stream.err.text()))
		return
	}
	e.of.fail(drain(e.of.ctx, e.process))
	if _, err := e.process.Delete(e.of.ctx); err != nil {
		e.of.fail(fmt.Errorf("remove the ended exec: %w", err))
		return
	}
	e.of.fail(e.stream.end())
	e.of.log.block("out", e.stream.out.text())
	e.of.log.block("err", e.stream.err.text())
}

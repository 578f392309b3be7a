// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// request says what to run and with which streams. Output streams are always there; a terminal has no stderr.
type request struct {
	args     []string
	stdin    bool
	terminal bool
	// unread leaves stdout open and unread until the test calls its read.
	unread bool
}

// shell is a request for a script.
func shell(script string) request { return request{args: []string{"sh", "-c", script}} }

// process is a container's first process or an exec, with its streams.
type process struct {
	client.Process
	*pipes
	task   client.Task // of a container's first process
	exited <-chan client.ExitStatus
	forget func(context.Context) error // removes the container's record; nil for an exec
}

// await begins to wait for the exit, as clients do before they start a process.
func (p *process) await(ctx context.Context) error {
	var err error
	if p.exited, err = p.Wait(ctx); err != nil {
		return errors.Join(fmt.Errorf("wait for %s: %w", p.ID(), err), p.end(ctx))
	}
	return nil
}

// start runs the process and begins to collect its output; runc's shim opens the FIFOs of an exec no earlier.
func (p *process) start(ctx context.Context) error {
	if err := p.Start(ctx); err != nil {
		return fmt.Errorf("start %s: %w", p.ID(), err)
	}
	p.read()
	return nil
}

// exec adds a process to the container.
func (p *process) exec(ctx context.Context, id string, r request) (_ *process, err error) {
	spec := &specs.Process{Args: r.args, Cwd: "/", Terminal: r.terminal, Env: []string{"PATH=/bin", "TERM=xterm"}}
	e := &process{}
	if e.pipes, err = newPipes(r); err != nil {
		return nil, err
	}
	e.Process, err = p.task.Exec(ctx, id, spec, e.creator)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("exec %s: %w", id, err), e.pipes.remove())
	}
	return e, e.await(ctx)
}

// result is what a process left.
type result struct {
	code           uint32
	stdout, stderr string
}

// wait waits for the exit, deletes the process in the next call, and returns what came over its streams until their
// end.
func (p *process) wait(ctx context.Context) (result, error) {
	var r result
	select {
	case status := <-p.exited:
		if err := status.Error(); err != nil {
			return r, fmt.Errorf("wait for %s: %w", p.ID(), err)
		}
		r.code = status.ExitCode()
	case <-ctx.Done():
		return r, fmt.Errorf("%s does not end: %w", p.ID(), context.Cause(ctx))
	}
	if _, err := p.Delete(ctx); err != nil {
		return r, fmt.Errorf("delete %s: %w", p.ID(), err)
	}
	var err error
	if r.stdout, err = p.stdout.all(ctx); err != nil {
		return r, fmt.Errorf("stdout of %s: %w", p.ID(), err)
	}
	if r.stderr, err = p.stderr.all(ctx); err != nil {
		return r, fmt.Errorf("stderr of %s: %w", p.ID(), err)
	}
	p.Process = nil
	return r, p.end(ctx)
}

// end removes what is left of the process, killing it if it runs.
func (p *process) end(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	if p.Process != nil {
		if _, err := p.Delete(ctx, client.WithProcessKill); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, err)
		}
		p.Process = nil
	}
	if p.forget != nil {
		if err := p.forget(ctx); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	if p.pipes != nil {
		errs = append(errs, p.pipes.remove())
	}
	return errors.Join(errs...)
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/spec"
)

// ExecOptions describe a further process of a container.
type ExecOptions struct {
	// ID is unique in the container.
	ID string
	// Process is what to run; the caller does not change it any more.
	Process *specs.Process
	// Terminal gives the process a terminal, whose output is Stdout.
	Terminal bool
	// Stdin, Stdout and Stderr say which streams somebody wants.
	Stdin, Stdout, Stderr bool
}

// Exec adds a process, which runs when it is started. An id that is taken is
// errdefs.ErrAlreadyExists; a container that does not run is
// errdefs.ErrFailedPrecondition.
func (c *Container) Exec(_ context.Context, o ExecOptions) (*Process, error) {
	if err := c.refusePause("exec in"); err != nil {
		return nil, err
	}
	if o.ID == "" || o.Process == nil {
		return nil, fmt.Errorf("exec in container %s: an id and a process are needed: %w", c.id, errdefs.ErrInvalidArgument)
	}
	if s := c.Status(); s != StatusRunning {
		return nil, fmt.Errorf("exec in container %s: it is %s: %w", c.id, s, errdefs.ErrFailedPrecondition)
	}
	p := newProcess(c, o.ID, newGuestExecID())
	p.terminal = o.Terminal
	p.wanted = wantedStreams{stdin: o.Stdin, stdout: o.Stdout, stderr: o.Stderr && !o.Terminal}
	p.launch = func(ctx context.Context) error { return p.launchExec(ctx, o.Process) }
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.execs[o.ID]; taken {
		return nil, fmt.Errorf("%s: %w", p, errdefs.ErrAlreadyExists)
	}
	c.execs[o.ID] = p
	return p, nil
}

// DeleteExec forgets an exec that has ended or never ran.
func (c *Container) DeleteExec(execID string) error {
	if execID == "" {
		return fmt.Errorf("delete an exec of container %s: its id is empty: %w", c.id, errdefs.ErrInvalidArgument)
	}
	p, err := c.Process(execID)
	if err != nil {
		return err
	}
	p.starting.Lock()
	defer p.starting.Unlock()
	if s := p.Status(); s == StatusRunning {
		return fmt.Errorf("delete %s: it is running: %w", p, errdefs.ErrFailedPrecondition)
	}
	p.exit(exitKilled) // one that never ran
	p.closeStreams()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.execs, execID)
	return nil
}

// launchExec asks the agent to run the process.
func (p *Process) launchExec(ctx context.Context, process *specs.Process) error {
	c := p.container
	guest, err := spec.ProcessToGuest(process, c.sandbox.size().VCPUs)
	if err != nil {
		return err
	}
	guest.Terminal = p.terminal
	done, err := c.sandbox.guest().launches.enter(ctx)
	if err != nil {
		return fmt.Errorf("wait for other execs to have begun: %w", err)
	}
	defer done()
	if size := p.takeSize(); size != nil {
		guest.ConsoleSize = size
	}
	agent := c.sandbox.guest()
	req := &agentpb.ExecProcessRequest{ContainerId: c.id, ExecId: p.guestID}
	if err := agent.setProcess(req, guest); err != nil {
		return err
	}
	err = p.withStreams(ctx, func(ctx context.Context, t streamTokens) error {
		req.StdinPort, req.StdoutPort, req.StderrPort = uint32(t.stdin), uint32(t.stdout), uint32(t.stderr)
		_, err := ask(ctx, agent, "run "+p.String(), timeouts.Request, agent.service.ExecProcess, req)
		return err
	})
	if err != nil {
		p.discard(ctx)
	}
	return err
}

// discard ends a process whose start failed on the way back, and which may run
// in the guest all the same. Mostly there is none to signal.
func (p *Process) discard(ctx context.Context) {
	agent := p.container.sandbox.guest()
	_, err := ask(context.WithoutCancel(ctx), agent, "end "+p.String(), timeouts.Signal, agent.service.SignalProcess,
		&agentpb.SignalProcessRequest{ContainerId: p.container.id, ExecId: p.guestID, Signal: uint32(unix.SIGKILL)})
	if err != nil {
		p.container.log().WithError(err).Debug("nothing was left of an exec that did not start")
	}
}

// withStreams makes a call that names the process's streams, and connects them
// meanwhile.
func (p *Process) withStreams(ctx context.Context, call func(context.Context, streamTokens) error) error {
	s := p.container.sandbox
	agent := s.guest()
	if !agent.hasStdioStreams() {
		if err := call(ctx, streamTokens{}); err != nil {
			return err
		}
		p.setStreams(rpcStreams(agent, p.container.id, p.guestID, p.wanted))
		return nil
	}
	tokens := newStreamTokens(p.wanted)
	dialCtx, cancel := s.life.during(ctx, timeouts.Stream)
	defer cancel()
	var opened streams
	var dialErr error
	dialled := make(chan struct{})
	// It ends with dialCtx; the caller waits.
	go func() {
		defer close(dialled)
		opened, dialErr = dialStreams(dialCtx, s.dialer(), tokens)
	}()
	callErr := call(ctx, tokens)
	if callErr != nil {
		cancel()
	}
	<-dialled
	if callErr != nil || dialErr != nil {
		opened.close()
		return errors.Join(callErr, p.explainStreams(callErr, dialErr))
	}
	p.setStreams(opened)
	return nil
}

// explainStreams keeps silent about streams that failed since the call did.
func (p *Process) explainStreams(callErr, dialErr error) error {
	if callErr != nil || dialErr == nil {
		return nil
	}
	return p.container.sandbox.life.explain("connect the streams of "+p.String(), dialErr)
}

// newGuestExecID draws an id that no other process of the VM has or had:
// engines use an exec id again once the exec was deleted, and the agent may
// still know the old one.
func newGuestExecID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return "exec-" + hex.EncodeToString(b[:])
}

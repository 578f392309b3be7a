// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/protocols/transport"
	"github.com/katapod/katapod/sandbox/template"
)

// startAgent waits until the agent answers. The VM's end ends the wait. A clone
// whose agent does not may be the template's fault: no other pod comes from it.
func (s *Sandbox) startAgent(ctx context.Context) error {
	err := s.reachAgent(ctx)
	if err == nil || !s.cloned() || ctx.Err() != nil {
		return err
	}
	key := s.Origin().Template
	s.log.WithError(err).WithField("template", key).Warn("a clone's agent does not answer: its template is removed")
	return errors.Join(err, s.drivers.Templates.Remove(template.Key(key)))
}

func (s *Sandbox) reachAgent(ctx context.Context) error {
	timeout := s.dialTimeout()
	dialCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	conn, err := s.dialer().Dial(dialCtx, transport.PortAgent)
	if err != nil {
		if dialCtx.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
		}
		return fmt.Errorf("reach the agent in the guest within %v: %w", timeout, err)
	}
	agent := newAgentClient(conn, s.life, s.agentLost)
	s.parts.with(func(p *parts) { p.agent = agent })
	check := max(timeouts.Check, timeout-time.Since(began))
	if s.cloned() {
		return agent.renew(ctx, check)
	}
	_, err = ask(ctx, agent, "check the agent's health", check, agent.health.Check, &agentpb.CheckRequest{})
	return err
}

// renew makes a clone's guest one of its own before anything runs in it: its
// random numbers and its clock are those of the template. A clone for which that
// fails is of no use.
func (a *agentClient) renew(ctx context.Context, timeout time.Duration) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.addEntropy(ctx, timeout) })
	group.Go(func() error { return a.setClock(ctx, timeout, time.Now()) })
	return group.Wait()
}

// dialTimeout bounds the wait for the agent's first answer.
func (s *Sandbox) dialTimeout() time.Duration {
	if t := s.options.Config.Agent.DialTimeout.Duration(); t > 0 {
		return t
	}
	return timeouts.Dial
}

// startTimeout bounds all steps of the start.
func (s *Sandbox) startTimeout() time.Duration {
	return max(timeouts.Start, s.dialTimeout()+timeouts.Start-timeouts.Dial)
}

func (s *Sandbox) undoAgent(context.Context) error {
	if agent := s.guest(); agent != nil {
		agent.close()
	}
	return nil
}

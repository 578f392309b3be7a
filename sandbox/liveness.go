// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/failure"
)

// liveness is how the agent of a pod that runs is found to hang: one that has
// answered nothing for a while is asked, and after some questions in a row without an
// answer the pod dies.
type liveness struct {
	every, answer time.Duration
	misses        int
}

// defaultLiveness has the reasons at its constants.
func defaultLiveness() liveness {
	return liveness{every: timeouts.LivenessInterval, answer: timeouts.LivenessAnswer, misses: timeouts.LivenessMisses}
}

// watchAgent ends the pod when its agent no longer answers: a guest or VMM that
// hangs keeps its process and its connection, and nothing else would notice.
func (s *Sandbox) watchAgent() {
	missed := 0
	agent := s.guest()
	for pause := s.liveness.every; ; {
		s.life.wait(pause)
		if s.life.over() {
			return
		}
		pause = s.liveness.every
		if quiet := time.Since(agent.heard()); quiet < s.liveness.every {
			// It answered somebody else meanwhile, which tells as much.
			missed, pause = 0, s.liveness.every-quiet
			continue
		}
		began := time.Now()
		err := s.checkAgent()
		switch {
		case s.life.over():
			return
		case !errors.Is(err, context.DeadlineExceeded):
			// An agent that answers with an error lives.
			missed = 0
			agent.hear()
			continue
		case time.Since(began) > 2*s.liveness.answer:
			// This process did not run when its timer was due: the host is
			// starved, or stopped it, and the guest had as little time.
			continue
		}
		missed++
		s.log.WithField("missed", missed).Warn("the agent in the guest did not answer in time")
		if missed >= s.liveness.misses {
			s.died(failure.With(failure.GuestHangs, fmt.Errorf("the agent in the guest has not answered for %v, %d questions in a row: the guest or its VMM hangs",
				time.Since(agent.heard()).Round(time.Millisecond), missed)))
			return
		}
	}
}

// checkAgent asks the agent whether it lives.
func (s *Sandbox) checkAgent() error {
	agent := s.guest()
	_, err := ask(s.life.ctx, agent, "ask whether the agent lives", s.liveness.answer, agent.health.Check, &agentpb.CheckRequest{})
	if s.options.Asked != nil {
		s.options.Asked()
	}
	return err
}

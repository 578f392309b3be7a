// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/agentpb"
)

// collectOOM passes the guest's out-of-memory kills on until the pod ends.
func (s *Sandbox) collectOOM() {
	agent := s.guest()
	for !s.life.over() {
		id, err := agent.nextOOM()
		switch {
		case s.life.over():
			return
		case errors.Is(err, errdefs.ErrNotImplemented):
			s.log.WithError(err).Warn("the agent does not tell of out-of-memory kills; containers killed so are not labelled")
			return
		case err != nil:
			s.log.WithError(err).Warn("asking for out-of-memory kills failed; asking again")
			s.life.wait(oomRetryDelay)
			continue
		}
		select {
		case s.oom <- id:
		case <-s.life.ctx.Done():
		}
	}
}

// nextOOM waits for the next out-of-memory kill and returns its container.
func (a *agentClient) nextOOM() (string, error) {
	event, err := ask(a.life.ctx, a, "wait for out-of-memory kills", 0, a.service.GetOOMEvent, &agentpb.GetOOMEventRequest{})
	if err != nil {
		return "", err
	}
	return event.ContainerId, nil
}

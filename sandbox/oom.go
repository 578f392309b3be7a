// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
)

// A guest may tell of kills without end, and each is an event of the engine's. Those
// of all containers of a pod may come at once; what is more waits in the guest.
const oomBurst = 64

// oomRetries is by how much, at most, the wait grows after an agent's refusals: each
// is a line of the log.
const oomRetries = 60

// collectOOM passes the guest's out-of-memory kills on until the pod ends.
func (s *Sandbox) collectOOM() {
	agent := s.guest()
	events, retry := newPace(oomBurst, timeouts.OOMPace, time.Now()), timeouts.OOMRetry
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
			s.life.wait(retry)
			retry = min(2*retry, oomRetries*timeouts.OOMRetry)
			continue
		}
		retry = timeouts.OOMRetry
		select {
		case s.oom <- id:
		case <-s.life.ctx.Done():
		}
		s.life.wait(events.next(time.Now()))
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

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"runtime"

	"github.com/katapod/katapod/protocols/timeouts"
)

// startPlaces has the places of the pods that start.
const startPlaces = findingsDir + "/starts"

// startsAtOnce is how many pods start at a time on this host. A start keeps more than
// one processor busy: more at a time end no sooner together, and each takes longer,
// with deadlines that pass in guests that had no time to run.
func startsAtOnce() int { return 2 * runtime.NumCPU() }

// takePlace waits until few enough other pods start. It is a courtesy: what prevents it
// is no failure of the pod.
func (s *Sandbox) takePlace(ctx context.Context) error {
	if s.drivers.EnterStart == nil {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, timeouts.Place)
	defer cancel()
	leave, err := s.drivers.EnterStart(waiting)
	switch {
	case err == nil:
		s.parts.with(func(p *parts) { p.leave = leave })
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		s.log.WithError(err).Info("the pod starts without a place among those that start")
	}
	return nil
}

// leavePlace undoes takePlace; a second call does nothing.
func (s *Sandbox) leavePlace() {
	var leave func()
	s.parts.with(func(p *parts) { leave, p.leave = p.leave, nil })
	if leave != nil {
		leave()
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
)

// Stop ends the pod and releases all it has on the host, its state directory
// included. It may be called in any state and more than once, and does not need
// the guest to be alive. When ctx ends first, the pod goes on stopping. When
// something could not be released, a further call tries again. It takes no longer
// than [timeouts.Stop].
func (s *Sandbox) Stop(ctx context.Context) error {
	s.beginStop(ctx)
	select {
	case <-s.done:
	case <-ctx.Done():
		return fmt.Errorf("stop pod %s: it goes on in the background: %w", s.options.ID, context.Cause(ctx))
	}
	if err := errors.Join(s.released(ctx), s.removeState()); err != nil {
		return fmt.Errorf("stop pod %s: %w", s.options.ID, err)
	}
	return nil
}

// released tells how the release of a pod that has ended went. One that left
// something has been told once, and is tried again.
func (s *Sandbox) released(ctx context.Context) error {
	s.mu.Lock()
	told := s.releaseTold
	s.releaseTold = true
	err := s.releaseErr
	s.mu.Unlock()
	if err == nil || !told {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeouts.Release)
	defer cancel()
	err = s.resources.releaseAll(ctx)
	s.mu.Lock()
	s.releaseErr = err
	s.mu.Unlock()
	return err
}

// beginStop sets the end in motion, unless it is already.
func (s *Sandbox) beginStop(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == StateStarting {
		s.life.end(errStopped) // Start notices and takes everything back
		return
	}
	was := s.state
	to, err := next(podTransitions(), s.name(), s.state, onStop)
	if err != nil {
		return
	}
	s.state = to
	ctx = context.WithoutCancel(ctx)
	// It is the pod's: it ends within timeouts.Stop and closes done.
	go func() {
		if was == StateRunning && s.holdsUnwritten() {
			s.destroyInGuest(ctx)
		}
		s.life.end(errStopped)
		s.end(ctx)
	}()
}

// destroyInGuest lets the guest write back what it has. The VM is killed
// afterwards in any case, so a failure is only worth a line.
func (s *Sandbox) destroyInGuest(ctx context.Context) {
	agent := s.guest()
	_, err := ask(ctx, agent, "destroy the sandbox", timeouts.DestroySandbox, agent.service.DestroySandbox, &agentpb.DestroySandboxRequest{})
	if err != nil {
		s.log.WithError(err).Warn("the guest did not shut down by itself")
	}
}

// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"time"

	"github.com/containerd/log"

	"github.com/katapod/katapod/protocols/timeouts"
)

// leaveIfAbandoned makes a shim leave whose engine went away under the Create that
// failed, and that has nothing: an engine that died has forgotten the call, and one
// that takes its place finds no container, asks for no Delete, and would keep the
// shim for ever. ctx is that of the call; ttrpc ends it with the connection.
func (s *Service) leaveIfAbandoned(ctx context.Context) {
	if ctx.Err() == nil {
		return
	}
	time.AfterFunc(timeouts.Abandoned, func() {
		if !s.empty() {
			return
		}
		log.G(ctx).Info("the engine went away while it made the first container; the shim leaves")
		s.Setup.Shutdown()
	})
}

// empty tells whether nothing is there and nothing is being made.
func (s *Service) empty() bool {
	s.mu.Lock()
	busy := len(s.containers) > 0 || len(s.reserved) > 0
	s.mu.Unlock()
	if busy || s.Pod.ID() == "" {
		return !busy
	}
	vm, err := s.Pod.Sandbox()
	if err != nil {
		return false // it starts
	}
	select {
	case <-vm.Done():
		return true
	default:
		return false
	}
}

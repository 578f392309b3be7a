// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/katapod/katapod/protocols/timeouts"
)

// end releases everything on the host and reaches the last state. It never
// waits for the guest.
func (s *Sandbox) end(ctx context.Context) {
	s.killAll()
	ctx, cancel := context.WithTimeout(ctx, timeouts.Release)
	defer cancel()
	err := s.releaseHost(ctx)
	if err != nil {
		s.log.WithError(err).Error("some resources of the pod could not be released; the ledger keeps them for a clean-up")
	}
	s.mu.Lock()
	s.releaseErr, s.endedAt = err, time.Now()
	s.mu.Unlock()
	if err := s.move(onReleased); err != nil {
		s.log.WithError(err).Error("a pod ended twice")
		return
	}
	close(s.done)
}

// releaseHost undoes everything: the VM first, so that nothing is in use any
// more, then containers, then the steps backwards, then whatever the ledger
// still holds.
func (s *Sandbox) releaseHost(ctx context.Context) error {
	s.forwards.close()
	errs := []error{s.undoVM(ctx), s.endShareDaemon(ctx)}
	s.leaving.waitAll()
	for _, c := range s.Containers() {
		errs = append(errs, c.release(ctx))
	}
	errs = append(errs, s.runner.undo(ctx), s.resources.releaseAll(ctx))
	return errors.Join(errs...)
}

// removeState removes the state directory, unless the ledger still holds
// something. A second call does nothing.
func (s *Sandbox) removeState() error {
	if held := s.resources.ledger.Held(); len(held) > 0 {
		return fmt.Errorf("%s still holds %v and is kept for a clean-up", s.dirs.ledger(), held)
	}
	if err := removeTree(s.dirs.state); err != nil {
		return err
	}
	s.closeLedger.Do(func() {
		if err := s.resources.ledger.Close(); err != nil {
			s.log.WithError(err).Warn("cannot close the ledger")
		}
	})
	return nil
}

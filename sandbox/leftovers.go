// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/timeouts"
)

// An engine cleans up after a shim that is gone by its delete action. Where that
// one fails, or is killed for taking too long, the engine forgets the pod, and
// nobody would ever look at its ledger again. So each pod that starts does.

// clearLeftovers releases what pods left whose shim is gone and who have not been
// touched since then.
func (s *Sandbox) clearLeftovers(then time.Time) {
	ctx, cancel := context.WithTimeout(s.life.ctx, timeouts.Cleanup)
	defer cancel()
	all := filepath.Dir(s.dirs.state)
	entries, err := os.ReadDir(all)
	if err != nil {
		s.log.WithError(err).Warn("cannot look for what other pods left behind")
		return
	}
	for _, e := range entries {
		dir := filepath.Join(all, e.Name())
		if dir == s.dirs.state || !e.IsDir() || !untouched(dir, then) || ctx.Err() != nil {
			continue
		}
		err := cleanup(ctx, dir, s.drivers)
		switch {
		case errdefs.IsFailedPrecondition(err): // it lives, or somebody else cleans up
		case err != nil:
			s.log.WithField("directory", dir).WithError(err).Warn("cannot clean up after a pod whose shim is gone; the next pod that starts tries again")
		default:
			s.log.WithField("directory", dir).Info("cleaned up after a pod whose shim is gone")
		}
	}
}

// untouched tells whether a pod's directory and ledger are older than then. A
// ledger that is not there yet may be about to be made.
func untouched(dir string, then time.Time) bool {
	for _, path := range []string{dir, ledgerIn(dir)} {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || info.ModTime().After(then) {
			return false
		}
	}
	return true
}

// claim makes the state directory. One of an earlier pod of that id, which has not
// been cleaned up, is released first; that of a living one is
// errdefs.ErrAlreadyExists.
func (d dirs) claim(drivers Drivers) error {
	err := d.create()
	if !errdefs.IsAlreadyExists(err) {
		return err
	}
	if _, missing := os.Stat(d.ledger()); missing != nil {
		return err // somebody is making it
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeouts.Cleanup)
	defer cancel()
	switch left := cleanup(ctx, d.state, drivers); {
	case errdefs.IsFailedPrecondition(left): // it lives
		return err
	case left != nil:
		return fmt.Errorf("%w: %w", err, left)
	}
	return d.create()
}

// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
)

// An engine that gets no connection to a shim it has started (the shim was killed
// just then) forgets it without a delete action, and the file of its socket would
// stay: among those of other runtimes, in the engine's directory, under a name that
// says nothing. So each socket has a claim, and who clears up after a pod removes
// the sockets of dead shims, too.

// claimsDir has a symbolic link to each socket that start made, named like it.
const claimsDir = "/run/katapod/sockets"

// claims are those in a directory.
type claims struct{ dir string }

// around makes a claim and then, by make, the socket, so that nobody takes it for one
// of a dead shim in between.
func (c claims) around(address string, make func() error) error {
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	path := socketPath(address)
	if err := c.drop(address); err != nil {
		return err
	}
	if err := os.Symlink(path, c.of(path)); err != nil {
		return fmt.Errorf("note the shim's socket: %w", err)
	}
	return make()
}

// drop gives a claim up whose socket is gone.
func (c claims) drop(address string) error {
	if err := os.Remove(c.of(socketPath(address))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the shim's socket: %w", err)
	}
	return nil
}

// sweep removes the sockets on which nobody listens, and their claims.
func (c claims) sweep() error {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for sockets of dead shims: %w", err)
	}
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	bound, err := os.ReadFile("/proc/self/net/unix")
	if err != nil {
		return fmt.Errorf("look for sockets of dead shims: %w", err)
	}
	var errs []error
	for _, e := range entries {
		path, err := os.Readlink(filepath.Join(c.dir, e.Name()))
		if err != nil || bytes.Contains(bound, []byte(" "+path+"\n")) {
			continue // it went meanwhile, is none, or belongs to a shim that lives
		}
		// One that lives in another network namespace is not in that list. Such is
		// asked, the others are not: each would be woken.
		if address := scheme + path; !answers(address) {
			errs = append(errs, c.removeSocket(address))
		}
	}
	return errors.Join(errs...)
}

// removeDead removes the socket of a pod's shim, which is about to be gone: where the
// engine has taken the bundle away, the claim alone tells of it. A shim that goes on
// answering keeps it.
func (c claims) removeDead(ctx context.Context, name string) error {
	path, err := os.Readlink(filepath.Join(c.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for the shim's socket: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeouts.ShimGrace)
	defer cancel()
	for look := time.Millisecond; answers(scheme + path); look = min(2*look, timeouts.Answers) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(look):
		}
	}
	return c.removeSocket(scheme + path)
}

// removeSocket removes the file of a socket and its claim; what is gone is no error.
func (c claims) removeSocket(address string) error {
	if err := os.Remove(socketPath(address)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the shim's socket: %w", err)
	}
	return c.drop(address)
}

// of is the claim of a socket.
func (c claims) of(path string) string { return filepath.Join(c.dir, filepath.Base(path)) }

// lock makes the directory and holds it against others that make or sweep sockets. Who
// holds it for so long that it was stopped is not waited for: what it may do then is
// to take a socket, which is asked before, for one of a dead shim.
func (c claims) lock() (unlock func(), err error) {
	if err := os.MkdirAll(c.dir, 0o711); err != nil {
		return nil, fmt.Errorf("make the directory of the shims' sockets: %w", err)
	}
	dir, err := os.Open(c.dir)
	if err != nil {
		return nil, fmt.Errorf("lock the directory of the shims' sockets: %w", err)
	}
	for began, look := time.Now(), time.Millisecond; ; look *= 2 {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil, errors.Is(err, unix.EWOULDBLOCK) && time.Since(began) > timeouts.Lock:
			return func() { _ = dir.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, errors.Join(fmt.Errorf("lock the directory of the shims' sockets: %w", err), dir.Close())
		}
		<-time.After(look)
	}
}

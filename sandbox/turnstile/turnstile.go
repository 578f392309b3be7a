// SPDX-License-Identifier: Apache-2.0

package turnstile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Turnstile has a number of places, each a file that is locked while somebody is in it.
// A process that dies has left: the kernel gives up its lock.
type Turnstile struct {
	dir    string
	places int
}

// New has its files in dir, which is made when it is needed. All processes that give
// the same directory share the places, and give the same number of them.
func New(dir string, places int) Turnstile { return Turnstile{dir: dir, places: places} }

// Enter waits for a place, in no order, until ctx ends. The caller gives the place back
// by leave, once; a process that it forks has it until its execve.
func (t Turnstile) Enter(ctx context.Context) (leave func(), err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("take one of %d places in %s: %w", t.places, t.dir, err)
		}
	}()
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return nil, err
	}
	if leave, err := t.try(); leave != nil || err != nil {
		return leave, err
	}
	departures, err := watchDepartures(ctx, t.dir)
	if err != nil {
		return nil, err
	}
	defer departures.Close()
	for {
		// Also after the watch began: who left before it is not told of.
		if leave, err := t.try(); leave != nil || err != nil {
			return leave, err
		}
		if err := departures.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// try takes a free place; there is none if leave is nil.
func (t Turnstile) try() (leave func(), err error) {
	for i := range t.places {
		place, err := os.OpenFile(filepath.Join(t.dir, strconv.Itoa(i)), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(place.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { give(place) }, nil
		}
		err = errors.Join(ignoring(err, unix.EWOULDBLOCK), place.Close())
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// give gives a place back and tells those who wait, by writing to it: a close would tell
// them too, but so would that of everybody who finds the place taken.
func give(place *os.File) {
	_ = unix.Flock(int(place.Fd()), unix.LOCK_UN)
	_, _ = place.WriteAt([]byte{'\n'}, 0) // They look now and then besides.
	_ = place.Close()
}

func ignoring(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

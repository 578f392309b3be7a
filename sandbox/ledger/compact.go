// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// compactFrom is the size in bytes from which a ledger is looked at for
	// lines that are struck out: some hundred restarts of a container.
	compactFrom = 64 << 10
	// suffixNew is that of the file in which a compacted ledger is written.
	suffixNew = ".new"
)

// makeRoom compacts the ledger ahead of n more bytes when it has grown enough
// and half of it at least is struck out. A compaction that fails costs nothing
// but room, and its error is kept for the day when there is none.
func (l *Ledger) makeRoom(n int) {
	if l.size+n <= min(l.compactAt, maxSize) {
		return
	}
	live, err := encodeHeld(l.held)
	if err == nil && 2*len(live) <= l.size {
		err = l.replace(live)
	}
	// Growing by the size of what is held between two copies makes them cost no
	// more than the lines themselves.
	l.compactAt, l.compactErr = max(compactFrom, 4*len(live)), err
	if err != nil {
		l.compactAt = max(compactFrom, 2*l.size)
	}
}

// compact writes the ledger anew without the lines that are struck out.
func (l *Ledger) compact() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	live, err := encodeHeld(l.held)
	if err != nil {
		return err
	}
	return l.replace(live)
}

// encodeHeld is the shortest ledger that holds what is held.
func encodeHeld(held []Resource) ([]byte, error) {
	var all []byte
	for _, r := range held {
		data, err := line{Op: opAcquire, Kind: r.Kind, Args: r.Args}.encode()
		if err != nil {
			return nil, err
		}
		all = append(all, data...)
	}
	return all, nil
}

// replace puts a file with data in the place of the ledger. It is complete and
// locked when it gets its name, so that whatever instruction a crash happens at,
// the file of that name says what is held; and the owner, while it lives, holds
// the lock of it. Nothing is synced: the next reader is on the same tmpfs.
func (l *Ledger) replace(data []byte) error {
	f, err := os.OpenFile(l.path+suffixNew, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("compacting the ledger: %w", err)
	}
	if err := l.fill(f, data); err != nil {
		return errors.Join(fmt.Errorf("compacting the ledger %s: %w", l.path, err), f.Close(), os.Remove(f.Name()))
	}
	old := l.file
	l.file, l.size, l.struck = f, len(data), nil // what was struck out is not among them
	return old.Close()
}

func (l *Ledger) fill(f *os.File, data []byte) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("locking the new file: %w", err)
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return os.Rename(f.Name(), l.path)
}

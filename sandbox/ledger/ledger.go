// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// Ledger is an open, locked ledger. Its methods are safe for concurrent use.
type Ledger struct {
	path string

	// mu guards what follows. It is taken under resources.mu.
	mu   sync.Mutex
	file *os.File
	held []Resource
	size int
	// struck are releases that could not be written: they count, and are written
	// ahead of the next line.
	struck []byte
	// compactAt is the size at which to look for lines that are struck out;
	// compactErr is why that failed the last time.
	compactAt  int
	compactErr error
}

// Open opens or creates the ledger at path and locks it. A ledger that another
// process or Ledger holds is errdefs.ErrFailedPrecondition; one that is not
// valid is errdefs.ErrInvalidArgument. The directory must exist.
func Open(path string) (*Ledger, error) {
	return open(path, os.O_CREATE)
}

func open(path string, create int) (*Ledger, error) {
	f, err := openLocked(path, create)
	if err != nil {
		return nil, err
	}
	l := &Ledger{path: path, file: f, compactAt: compactFrom}
	if err := l.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("ledger %s: %w", path, err), f.Close())
	}
	return l, nil
}

// openLocked opens the file at path and locks it. An owner may put another file
// in its place in between, see replace; then that one is meant.
func openLocked(path string, create int) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|unix.O_NOFOLLOW|create, 0o600)
		if err != nil {
			return nil, fmt.Errorf("opening the ledger: %w", err)
		}
		current, err := lock(f, path)
		if err == nil && current {
			return f, nil
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("ledger %s: %w", path, err)
		}
	}
}

// lock locks a ledger's file and tells whether it still is the one at path.
func lock(f *os.File, path string) (current bool, err error) {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return false, fmt.Errorf("a living process holds it: %w", errdefs.ErrFailedPrecondition)
		}
		return false, fmt.Errorf("locking it: %w", err)
	}
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, named), err
}

// load reads the file and cuts a torn last line off.
func (l *Ledger) load() error {
	data, err := io.ReadAll(io.LimitReader(l.file, maxSize+1))
	if err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	held, whole, err := parse(data)
	if err != nil {
		return err
	}
	if whole < len(data) {
		if err := l.file.Truncate(int64(whole)); err != nil {
			return fmt.Errorf("cutting off its torn last line: %w", err)
		}
	}
	l.held, l.size = held, whole
	return nil
}

// Acquire records that r is about to be made. A resource that is held already
// is errdefs.ErrAlreadyExists.
func (l *Ledger) Acquire(r Resource) error {
	return l.append(line{Op: opAcquire, Kind: r.Kind, Args: slices.Clone(r.Args)})
}

// Release strikes r out. A resource that is not held is errdefs.ErrNotFound. A
// file system without room is no error: r is not held any more, and the file says
// so from the next line on that can be written. Who replays it before undoes r
// once more, which is allowed of every undo.
func (l *Ledger) Release(r Resource) error {
	return l.append(line{Op: opRelease, Kind: r.Kind, Args: slices.Clone(r.Args)})
}

// append writes a line, after checking that it would be believed when read.
func (l *Ledger) append(n line) error {
	if err := n.resource().validate(); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	data, err := n.encode()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	held, err := apply(slices.Clone(l.held), n)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	l.makeRoom(len(l.struck) + len(data))
	pending := append(slices.Clone(l.struck), data...)
	if err := l.write(pending); err != nil {
		if n.Op != opRelease || errors.Is(err, os.ErrClosed) {
			return err
		}
		l.struck = pending
	}
	l.held = held
	return nil
}

// write adds whole lines to the file, or nothing. The caller holds mu.
func (l *Ledger) write(lines []byte) error {
	if l.size+len(lines) > maxSize {
		full := fmt.Errorf("ledger is full: %d bytes: %w", l.size, errdefs.ErrResourceExhausted)
		return errors.Join(full, l.compactErr)
	}
	if _, err := l.file.Write(lines); err != nil {
		// Half a line would spoil the next one.
		return errors.Join(fmt.Errorf("writing the ledger: %w", err), l.file.Truncate(int64(l.size)))
	}
	l.size, l.struck = l.size+len(lines), nil
	return nil
}

// Held returns what is held, newest first.
func (l *Ledger) Held() []Resource {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := slices.Clone(l.held)
	slices.Reverse(held)
	return held
}

// Close unlocks and closes the ledger; the file stays.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("closing the ledger: %w", err)
	}
	return nil
}

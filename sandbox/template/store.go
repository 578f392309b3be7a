// SPDX-License-Identifier: Apache-2.0

package template

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/timeouts"
)

// Store is a directory of templates. It is a value; any number of processes may
// use one directory.
type Store struct {
	// Dir is an absolute path of at most 40 bytes, best on a tmpfs. It is made
	// when something is put in it.
	Dir string
	// MaxCount and MaxBytes bound the templates together; 0 is
	// [DefaultMaxCount] and [DefaultMaxBytes].
	MaxCount int
	MaxBytes int64
}

// Bounds of a store that names none. Bytes are those that files take, without
// holes: a template of a pod of default size takes about 60 MiB.
const (
	DefaultMaxCount = 8
	DefaultMaxBytes = 1 << 30
)

// Template is one saved VM of a store.
type Template struct {
	Key      Key
	Snapshot hypervisor.Snapshot
	// Shape says what it was made from, for people.
	Shape string
	// Made and Used are when it was built and last used; Bytes is what its files
	// take.
	Made, Used time.Time
	Bytes      int64
}

// failedSuffix follows the key in the name of a file that says why a template
// could not be built.
const failedSuffix = ".failed"

func (s Store) dir(key Key) string    { return filepath.Join(s.Dir, string(key)) }
func (s Store) failed(key Key) string { return s.dir(key) + failedSuffix }

// Find returns the template of that key, checked, and notes its use. None is
// errdefs.ErrNotFound; one whose files are not as they were made is removed and
// is errdefs.ErrDataLoss.
func (s Store) Find(ctx context.Context, key Key) (Template, error) {
	dir := s.dir(key)
	m, err := readManifest(dir)
	if err == nil {
		err = m.check(ctx, dir, false)
	}
	if err == nil && m.Key != key {
		err = fmt.Errorf("the template in %s is another's, %s: %w", dir, m.Key, errdefs.ErrDataLoss)
	}
	switch {
	case errdefs.IsDataLoss(err):
		return Template{}, errors.Join(err, s.Remove(key))
	case errors.Is(err, fs.ErrNotExist): // removed meanwhile
		return Template{}, fmt.Errorf("%w: %w", err, errdefs.ErrNotFound)
	case err != nil:
		return Template{}, err
	}
	now := time.Now()
	// Only the choice of what to remove goes by it.
	_ = os.Chtimes(dir, now, now)
	return s.load(m)
}

// Verify takes the digests of a template anew; see Find for its errors.
func (s Store) Verify(ctx context.Context, key Key) error {
	m, err := readManifest(s.dir(key))
	if err != nil {
		return err
	}
	return m.check(ctx, s.dir(key), true)
}

// Failed is why the template of that key could not be built lately, or nil.
func (s Store) Failed(key Key) error {
	info, err := os.Stat(s.failed(key))
	if err != nil || time.Since(info.ModTime()) > timeouts.TemplateRetry {
		return nil // There is no reason not to try.
	}
	why, err := os.ReadFile(s.failed(key))
	if err != nil {
		return nil
	}
	return fmt.Errorf("it could not be built at %s and is tried again %v later: %s: %w",
		info.ModTime().Format(time.TimeOnly), timeouts.TemplateRetry, why, errdefs.ErrUnavailable)
}

// List returns all templates, those used last first. A directory that does not
// exist has none.
func (s Store) List() ([]Template, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the templates: %w", err)
	}
	var all []Template
	for _, e := range entries {
		if !validKey(Key(e.Name())) {
			continue
		}
		m, err := readManifest(filepath.Join(s.Dir, e.Name()))
		if err != nil {
			continue // Find says what is wrong with it.
		}
		m.Key = Key(e.Name())
		t, err := s.load(m)
		if err == nil {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b Template) int { return b.Used.Compare(a.Used) })
	return all, nil
}

// load completes what a manifest says.
func (s Store) load(m manifest) (Template, error) {
	t := Template{Key: m.Key, Snapshot: snapshotIn(s.dir(m.Key)), Shape: m.From.Shape, Made: m.Made}
	info, err := os.Stat(s.dir(m.Key))
	if err != nil {
		return Template{}, fmt.Errorf("look at a template: %w", err)
	}
	t.Used = info.ModTime()
	t.Bytes, err = allocated(t.Snapshot)
	return t, err
}

// allocated is what the files of a saved VM take, without holes.
func allocated(saved hypervisor.Snapshot) (int64, error) {
	var bytes int64
	for _, path := range []string{saved.Memory, saved.State} {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			return 0, fmt.Errorf("look at a template's file: %w", err)
		}
		bytes += st.Blocks * 512
	}
	return bytes, nil
}

// Remove removes a template and what is known of failures to build it. Clones
// that run go on. One that is gone is no error.
func (s Store) Remove(key Key) error {
	if !validKey(key) {
		return fmt.Errorf("%q is no template's key: %w", key, errdefs.ErrInvalidArgument)
	}
	if err := os.Remove(s.failed(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a template: %w", err)
	}
	// Renamed first, it is whole or not there for everybody else.
	doomed, err := os.MkdirTemp(s.Dir, buildPrefix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove a template: %w", err)
	}
	err = os.Rename(s.dir(key), filepath.Join(doomed, string(key)))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(doomed))
}

// validKey tells a key from other names in the directory, and from paths.
func validKey(key Key) bool { return regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(string(key)) }

// makeRoom removes templates, those used least recently first, until one more
// of that size fits.
func (s Store) makeRoom(bytes int64) error {
	all, err := s.List()
	if err != nil {
		return err
	}
	count, most := s.MaxCount, s.MaxBytes
	if count == 0 {
		count = DefaultMaxCount
	}
	if most == 0 {
		most = DefaultMaxBytes
	}
	if bytes > most {
		return fmt.Errorf("a template of %d MiB does not fit the bound of %d MiB: %w", bytes>>20, most>>20, errdefs.ErrResourceExhausted)
	}
	total := bytes
	for i, t := range all {
		total += t.Bytes
		if i+1 < count && total <= most {
			continue
		}
		if err := s.Remove(t.Key); err != nil {
			return err
		}
		total -= t.Bytes
	}
	return nil
}

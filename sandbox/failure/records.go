// SPDX-License-Identifier: Apache-2.0

package failure

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Engines remove a pod's bundle, and the report in it, as soon as they hear of its
// end. So the last reports are kept in a directory of records as well.

// Kept is how many reports a directory of records holds; older ones go.
const Kept = 16

// Keep puts a report into a directory of records, in the place of an older one of
// that pod.
func Keep(dir string, r *Report) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of failure reports: %w", err)
	}
	if err := r.Write(record(dir, r.Namespace, r.Pod)); err != nil {
		return err
	}
	return prune(dir)
}

// Forget removes the record of an earlier pod of that id, if there is one.
func Forget(dir, namespace, pod string) error { return remove(record(dir, namespace, pod)) }

// file is one of a directory of records.
type file struct {
	path string
	at   time.Time
}

// list gives the files of a directory of records, the newest first; one that is
// absent has none.
func list(dir string) ([]file, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list the failure reports: %w", err)
	}
	var files []file
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // else it went meanwhile
			files = append(files, file{filepath.Join(dir, e.Name()), info.ModTime()})
		}
	}
	slices.SortStableFunc(files, func(a, b file) int { return b.at.Compare(a.at) })
	return files, nil
}

// prune removes what is too much, files that a crash left half-way included.
func prune(dir string) error {
	files, err := list(dir)
	if err != nil {
		return err
	}
	for _, f := range files[min(Kept, len(files)):] {
		err = errors.Join(err, remove(f.path))
	}
	if err != nil {
		return fmt.Errorf("remove old failure reports: %w", err)
	}
	return nil
}

// Records reads a directory of records, the newest report first. Files that are no
// reports come as errors beside them.
func Records(dir string) ([]*Report, error) {
	files, err := list(dir)
	if err != nil {
		return nil, err
	}
	var reports []*Report
	var errs []error
	for _, f := range files {
		if !strings.HasSuffix(f.path, ".json") {
			continue // half-way there
		}
		switch r, err := Read(f.path); {
		case err == nil:
			reports = append(reports, r)
		case !errors.Is(err, os.ErrNotExist):
			errs = append(errs, err)
		}
	}
	return reports, errors.Join(errs...)
}

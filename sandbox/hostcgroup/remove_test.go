// SPDX-License-Identifier: Apache-2.0

package hostcgroup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// busyGroup is a directory like one of cgroup v2 whose removal the kernel refuses
// as long as busy says so. A process is listed in it that cannot be moved, as one
// that is ending.
func busyGroup(t *testing.T, pid int, busy func() bool) (dir string, r remover) {
	t.Helper()
	root, where := tree(t, "")
	dir = filepath.Join(root, where.dir)
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, remover{rmdir: func(path string) error {
		if busy() {
			return unix.EBUSY
		}
		return os.RemoveAll(path)
	}}
}

// A machine under load takes its time with the end of a process: 10 s were seen.
// Removal waits for as long as its caller does.
func TestRemovalWaitsForSlowEnds(t *testing.T) {
	began := time.Now()
	const slow = 1200 * time.Millisecond // more than was waited for once
	dir, r := busyGroup(t, os.Getpid(), func() bool { return time.Since(began) < slow })
	if err := r.tree(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the group: %v", err)
	}
}

func TestRemovalEndsWithItsContext(t *testing.T) {
	gaveUp := errors.New("the engine waits no longer")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	dir, r := busyGroup(t, os.Getpid(), func() bool { cancel(gaveUp); return true })
	err := r.tree(ctx, dir)
	if !errors.Is(err, gaveUp) || !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("error %v", err)
	}
	r.rmdir = os.RemoveAll
	if err := r.tree(t.Context(), dir); err != nil {
		t.Errorf("a second removal: %v", err)
	}
}

func TestOtherErrorsOfRemovalAreNotWaitedFor(t *testing.T) {
	dir, r := busyGroup(t, os.Getpid(), func() bool { return false })
	r.rmdir = func(string) error { return unix.EROFS }
	if err := r.tree(t.Context(), dir); !errors.Is(err, unix.EROFS) {
		t.Errorf("error %v", err)
	}
}

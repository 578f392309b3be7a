// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// withoutRoom is a ledger with resources on a file system that has no room left; relieve makes some.
func withoutRoom(t *testing.T) (l *Ledger, path string, held []Resource, relieve func()) {
	t.Helper()
	top := filepath.Join(t.TempDir(), "small")
	tmpfs(t, top)
	path = filepath.Join(top, "ledger")
	l, err := Open(path)
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	for i := range 200 {
		held = append(held, dir(fmt.Sprintf("/made/%d", i)))
		must(t, l.Acquire(held[i]))
	}
	filler := filepath.Join(top, "filler")
	for size := 4096; size > 0; size /= 2 {
		for err = nil; err == nil; {
			var f *os.File
			f, err = os.OpenFile(filler, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			must(t, err)
			_, err = f.Write(make([]byte, size))
			must(t, f.Close())
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
	return l, path, held, func() { must(t, os.Remove(filler)) }
}

// A full file system lets nothing be acquired, and everything be released: a pod can be removed where it is the host
// that has no room.
func TestReleaseWithoutRoom(t *testing.T) {
	l, path, held, relieve := withoutRoom(t)
	for _, r := range slices.Backward(held) {
		must(t, l.Release(r))
	}
	if left := l.Held(); len(left) > 0 {
		t.Errorf("still held are %v", left)
	}
	long := dir("/" + strings.Repeat("a", 3000))
	if err := l.Acquire(long); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("acquiring without room: %v", err)
	}
	relieve()
	must(t, l.Acquire(held[0])) // the file strikes it out before it has it again
	must(t, l.Close())
	if got := undone(t, path); !slices.EqualFunc(got, held[:1], Resource.Equal) {
		t.Errorf("a replay undoes %v, want %v", got, held[:1])
	}
}

// What could be struck out only in memory is undone once more by who replays the file.
func TestCrashWithoutRoom(t *testing.T) {
	l, path, held, _ := withoutRoom(t)
	for _, r := range held {
		must(t, l.Release(r))
	}
	must(t, l.Close())
	again := undone(t, path)
	for _, r := range again {
		if !slices.ContainsFunc(held, r.Equal) {
			t.Errorf("a replay undoes %v, which was never held", r)
		}
	}
}

// A compaction leaves nothing to be struck out later.
func TestCompactionAfterReleaseWithoutRoom(t *testing.T) {
	l, path, held, relieve := withoutRoom(t)
	for _, r := range held[1:] {
		must(t, l.Release(r))
	}
	relieve()
	must(t, l.compact())
	must(t, l.Acquire(dir("/more")))
	must(t, l.Close())
	if got, want := undone(t, path), []Resource{dir("/more"), held[0]}; !slices.EqualFunc(got, want, Resource.Equal) {
		t.Errorf("a replay undoes %v, want %v", got, want)
	}
}

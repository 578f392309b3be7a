// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
)

// A pod may live for years, and its containers restart all the while.
func TestLongLifeIsNeverFull(t *testing.T) {
	l, path := opened(t)
	must(t, l.Acquire(dir("/kept")))
	long := "/" + strings.Repeat("a", maxArg-20)
	const pairs = 2*maxSize/(2*maxArg) + 1
	for i := range pairs {
		r := file(long + strconv.Itoa(i))
		must(t, l.Acquire(r))
		must(t, l.Release(r))
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 2*compactFrom {
		t.Errorf("after %d containers the file has %v bytes, error %v", pairs, info.Size(), err)
	}
	must(t, l.Close())
	again, err := Open(path)
	must(t, err)
	defer again.Close()
	if got := again.Held(); !slices.EqualFunc(got, []Resource{dir("/kept")}, Resource.Equal) {
		t.Errorf("held are %v", got)
	}
}

// What is not struck out is written again only when the file has grown by as much.
func TestWhatIsHeldIsNotCopiedOverAndOver(t *testing.T) {
	l, _ := opened(t)
	first := l.file
	const held = 5 * compactFrom / maxArg
	for i := range held {
		must(t, l.Acquire(file(fmt.Sprintf("/%d%s", i, strings.Repeat("a", maxArg-10)))))
	}
	if l.file != first {
		t.Error("a file without a struck line was copied")
	}
	if got := len(l.Held()); got != held {
		t.Errorf("%d are held", got)
	}
}

// crowded is a ledger of which most is struck out, with what it holds.
func crowded(t *testing.T) (l *Ledger, path string, held []Resource) {
	t.Helper()
	l, path = opened(t)
	must(t, l.Acquire(dir("/first")))
	for i := range 20 {
		r := file(fmt.Sprintf("/struck%d", i))
		must(t, l.Acquire(r))
		must(t, l.Release(r))
	}
	must(t, l.Acquire(file("/ä\n\"last\"")))
	return l, path, l.Held()
}

// undone replays the ledger at path and tells what was undone.
func undone(t *testing.T, path string) []Resource {
	t.Helper()
	var all []Resource
	record := func(kind Kind) func(context.Context, []string) error {
		return func(_ context.Context, args []string) error {
			all = append(all, Resource{kind, args})
			return nil
		}
	}
	must(t, Replay(t.Context(), path, Undo{Dir: record(Dir), File: record(File)}))
	return all
}

// TestCrashAtEveryByteOfACompaction has each state of the two files that a crash
// can leave, before the new one is renamed and after.
func TestCrashAtEveryByteOfACompaction(t *testing.T) {
	l, path, held := crowded(t)
	before, err := os.ReadFile(path)
	must(t, err)
	must(t, l.compact())
	must(t, l.Close())
	after, err := os.ReadFile(path)
	must(t, err)
	if bytes.Equal(before, after) || bytes.Count(after, []byte("\n")) != len(held) {
		t.Fatalf("compaction made %q", after)
	}
	if _, err := os.Stat(path + suffixNew); !os.IsNotExist(err) {
		t.Errorf("the new file is left beside: %v", err)
	}
	for length := range len(after) + 1 {
		crashed := filepath.Join(t.TempDir(), "ledger")
		must(t, os.WriteFile(crashed, before, 0o600))
		must(t, os.WriteFile(crashed+suffixNew, after[:length], 0o600))
		if got := undone(t, crashed); !slices.EqualFunc(got, held, Resource.Equal) {
			t.Fatalf("with %d bytes of the new file: undone %v, want %v", length, got, held)
		}
	}
	if got := undone(t, path); !slices.EqualFunc(got, held, Resource.Equal) {
		t.Errorf("after the compaction: undone %v, want %v", got, held)
	}
}

func TestCompactionAfterACrashedOne(t *testing.T) {
	l, path, held := crowded(t)
	must(t, os.WriteFile(path+suffixNew, bytes.Repeat([]byte("junk"), 1000), 0o600))
	must(t, l.compact())
	must(t, l.Acquire(dir("/more")))
	must(t, l.Close())
	if got, want := undone(t, path), append([]Resource{dir("/more")}, held...); !slices.EqualFunc(got, want, Resource.Equal) {
		t.Errorf("undone %v, want %v", got, want)
	}
}

func TestCompactionThatFailsChangesNothing(t *testing.T) {
	l, path, held := crowded(t)
	must(t, os.Mkdir(path+suffixNew, 0o700)) // in the way
	if err := l.compact(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	must(t, l.Acquire(dir("/more")))
	l.size = maxSize
	if err := l.Acquire(dir("/evenmore")); !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), suffixNew) {
		t.Errorf("a full ledger that cannot be compacted: %v", err)
	}
	must(t, l.Close())
	if got, want := undone(t, path), append([]Resource{dir("/more")}, held...); !slices.EqualFunc(got, want, Resource.Equal) {
		t.Errorf("undone %v, want %v", got, want)
	}
}

// The lock is on a file, and a compaction puts another one in its place: the
// living owner's is held at every moment.
func TestLockOutlastsCompaction(t *testing.T) {
	l, path, _ := crowded(t)
	stale, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer stale.Close()
	must(t, l.compact())
	undo := Undo{Dir: func(context.Context, []string) error { t.Error("a living owner's directory was undone"); return nil }}
	if err := Replay(t.Context(), path, undo); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("replay after the compaction: %v", err)
	}
	// This is what a replay has that opened the file just before.
	if current, err := lock(stale, path); err != nil || current {
		t.Errorf("a file that was replaced: current %v, error %v", current, err)
	}
}

// TestKilledWhileCompacting kills an owner at arbitrary moments, among them
// those within compactions.
func TestKilledWhileCompacting(t *testing.T) {
	if base := os.Getenv("LEDGER_TEST_COMPACTING"); base != "" {
		compactForEver(t, base)
		return
	}
	for range 10 {
		base := t.TempDir()
		owner := exec.Command(os.Args[0], "-test.run=^TestKilledWhileCompacting$")
		owner.Env = append(os.Environ(), "LEDGER_TEST_COMPACTING="+base)
		out, err := owner.StdoutPipe()
		must(t, err)
		must(t, owner.Start())
		_, err = out.Read(make([]byte, 1))
		must(t, err)
		timer := time.NewTimer(rand.N(5 * time.Millisecond))
		<-timer.C
		must(t, owner.Process.Kill())
		_ = owner.Wait()
		path := filepath.Join(base, "ledger")
		must(t, Replay(t.Context(), path, StandardUndo()))
		left, err := filepath.Glob(filepath.Join(base, "made*"))
		must(t, err)
		if len(left) > 0 {
			t.Errorf("left are %v", left)
		}
	}
}

// compactForEver makes and removes directories, and compacts after each.
func compactForEver(t *testing.T, base string) {
	l, err := Open(filepath.Join(base, "ledger"))
	must(t, err)
	for i := 0; ; i++ {
		r := dir(filepath.Join(base, fmt.Sprintf("made%d", i)))
		must(t, l.Acquire(r))
		must(t, os.Mkdir(r.Args[0], 0o700))
		must(t, l.compact())
		if i == 3 {
			_, _ = os.Stdout.WriteString("x")
		}
		if i%3 == 0 {
			continue
		}
		must(t, os.Remove(r.Args[0]))
		must(t, l.Release(r))
	}
}

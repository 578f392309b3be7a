// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
)

func dir(path string) Resource  { return Resource{Kind: Dir, Args: []string{path}} }
func file(path string) Resource { return Resource{Kind: File, Args: []string{path}} }

func opened(t *testing.T) (*Ledger, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger")
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestHeldIsNewestFirstAndSurvivesReopening(t *testing.T) {
	l, path := opened(t)
	must(t, l.Acquire(dir("/a")))
	must(t, l.Acquire(file("/a/b")))
	must(t, l.Acquire(Resource{Tap, []string{"/var/run/netns/x", "tap0_kata"}}))
	must(t, l.Release(file("/a/b")))
	want := []Resource{{Tap, []string{"/var/run/netns/x", "tap0_kata"}}, dir("/a")}
	check := func(l *Ledger) {
		t.Helper()
		if got := l.Held(); !slices.EqualFunc(got, want, Resource.Equal) {
			t.Errorf("held are %v, want %v", got, want)
		}
	}
	check(l)
	must(t, l.Close())
	again, err := Open(path)
	must(t, err)
	defer again.Close()
	check(again)
}

func TestWrongOrder(t *testing.T) {
	l, _ := opened(t)
	if err := l.Release(dir("/a")); !errdefs.IsNotFound(err) {
		t.Errorf("releasing what is not held: %v", err)
	}
	must(t, l.Acquire(dir("/a")))
	if err := l.Acquire(dir("/a")); !errdefs.IsAlreadyExists(err) {
		t.Errorf("acquiring what is held: %v", err)
	}
	must(t, l.Release(dir("/a")))
	must(t, l.Acquire(dir("/a")))
}

func TestInvalidResourcesAreRefused(t *testing.T) {
	l, path := opened(t)
	for _, r := range []Resource{
		{}, {Kind: "disk", Args: []string{"/a"}}, {Kind: Dir}, {Kind: Dir, Args: []string{"/a", "/b"}},
		dir("/"), dir("a"), dir("/a/"), dir("/a/../b"), dir("/a\x00b"), dir("/\xff"), dir("/" + strings.Repeat("a", maxArg)),
		{Kind: Process, Args: []string{"1"}}, {Kind: Process, Args: []string{"-1", "5"}}, {Kind: Process, Args: []string{"0", "5"}},
		{Kind: Process, Args: []string{"01", "5"}}, {Kind: Process, Args: []string{"1", "x"}},
		{Kind: Tap, Args: []string{"/ns"}}, {Kind: Tap, Args: []string{"/ns", ""}}, {Kind: Cgroup, Args: []string{"a:b"}},
		{Kind: Dir, Args: slices.Repeat([]string{"/a"}, maxArgs+1)},
	} {
		if err := l.Acquire(r); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: error %v", r, err)
		}
	}
	must(t, l.Acquire(Resource{Cgroup, []string{"kubepods-a.slice:cri:kata_1"}}))
	if data, err := os.ReadFile(path); err != nil || strings.Count(string(data), "\n") != 1 {
		t.Errorf("the file is %q, error %v", data, err)
	}
}

func TestLock(t *testing.T) {
	l, path := opened(t)
	must(t, l.Acquire(dir("/nowhere")))
	if _, err := Open(path); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("opening a held ledger: %v", err)
	}
	undo := Undo{Dir: func(context.Context, []string) error { t.Error("a living owner's directory was undone"); return nil }}
	if err := Replay(t.Context(), path, undo); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("replaying a held ledger: %v", err)
	}
}

func TestBadFiles(t *testing.T) {
	good := `{"op":"+","kind":"directory","args":["/a"]}` + "\n"
	for name, content := range map[string]string{
		"no json":           "hello\n",
		"empty line":        good + "\n",
		"two on a line":     strings.TrimSpace(good) + strings.TrimSpace(good) + "\n",
		"unknown operation": `{"op":"*","kind":"directory","args":["/a"]}` + "\n",
		"unknown kind":      `{"op":"+","kind":"disk","args":["/a"]}` + "\n",
		"unknown field":     `{"op":"+","kind":"directory","args":["/a"],"x":1}` + "\n",
		"other spelling":    `{"OP":"+","kind":"directory","args":["/a"]}` + "\n",
		"field twice":       `{"op":"-","op":"+","kind":"directory","args":["/a"]}` + "\n",
		"root":              `{"op":"+","kind":"directory","args":["/"]}` + "\n",
		"relative":          `{"op":"+","kind":"directory","args":["../a"]}` + "\n",
		"init's number 0":   `{"op":"+","kind":"process","args":["0","1"]}` + "\n",
		"released twice":    good + strings.ReplaceAll(good+good, "+", "-"),
		"acquired twice":    good + good,
		"torn in between":   good[:9] + "\n" + good,
		"spaces":            " " + good,
	} {
		path := filepath.Join(t.TempDir(), "ledger")
		must(t, os.WriteFile(path, []byte(content), 0o600))
		if l, err := Open(path); err == nil {
			t.Errorf("%s: opened, holds %v", name, l.Held())
			_ = l.Close()
		} else if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "line") {
			t.Errorf("%s: error %q names no file and line", name, err)
		}
		undo := Undo{Dir: func(context.Context, []string) error { t.Errorf("%s: something was undone", name); return nil }}
		if err := Replay(t.Context(), path, undo); err == nil {
			t.Errorf("%s: replayed", name)
		}
	}
}

func TestSymbolicLinkIsNotFollowed(t *testing.T) {
	_, path := opened(t)
	link := path + ".link"
	must(t, os.Symlink(path, link))
	if _, err := Open(link); err == nil {
		t.Error("a link was followed")
	}
}

func TestTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	f, err := os.Create(path)
	must(t, err)
	must(t, f.Truncate(maxSize+1))
	must(t, f.Close())
	if _, err := Open(path); !errdefs.IsInvalidArgument(err) {
		t.Errorf("error %v", err)
	}
}

func TestFull(t *testing.T) {
	l, _ := opened(t)
	const many = maxSize / maxArg
	for i := range many { // nothing of which could be left out
		l.held = append(l.held, dir(fmt.Sprintf("/%d%s", i, strings.Repeat("a", maxArg-10))))
	}
	l.size = maxSize
	if err := l.Acquire(dir("/a")); !errdefs.IsResourceExhausted(err) || len(l.Held()) != many {
		t.Errorf("error %v, %d are held", err, len(l.Held()))
	}
}

func TestConcurrentUse(t *testing.T) {
	l, path := opened(t)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			r := dir(fmt.Sprintf("/d%d", i))
			if err := l.Acquire(r); err != nil {
				t.Error(err)
			}
			if i%2 == 0 {
				if err := l.Release(r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, l.Close())
	again, err := Open(path)
	must(t, err)
	defer again.Close()
	if got := len(again.Held()); got != 25 {
		t.Errorf("%d are held, want 25", got)
	}
}

// TestCrashAtEveryByte cuts the file at every length, as a crash could, and
// compares with what existed by then at most: what a whole line says.
func TestCrashAtEveryByte(t *testing.T) {
	l, path := opened(t)
	steps := []struct {
		do func(Resource) error
		r  Resource
	}{
		{l.Acquire, dir("/a")}, {l.Acquire, file("/a/\"b\" <c>")}, {l.Acquire, dir("/ä\n")},
		{l.Release, file("/a/\"b\" <c>")}, {l.Acquire, file("/z")}, {l.Release, dir("/a")},
	}
	var after [][]Resource // after[n]: held after n lines
	after = append(after, nil)
	for _, s := range steps {
		must(t, s.do(s.r))
		after = append(after, l.Held())
	}
	must(t, l.Close())
	data, err := os.ReadFile(path)
	must(t, err)
	for length := range len(data) + 1 {
		cut := filepath.Join(t.TempDir(), "ledger")
		must(t, os.WriteFile(cut, data[:length], 0o600))
		var undone []Resource
		record := func(kind Kind) func(context.Context, []string) error {
			return func(_ context.Context, args []string) error {
				undone = append(undone, Resource{kind, args})
				return nil
			}
		}
		must(t, Replay(t.Context(), cut, Undo{Dir: record(Dir), File: record(File)}))
		want := after[strings.Count(string(data[:length]), "\n")]
		if !slices.EqualFunc(undone, want, Resource.Equal) {
			t.Fatalf("cut at %d: undone %v, want %v", length, undone, want)
		}
	}
}

func TestWritingGoesOnAfterATornLine(t *testing.T) {
	l, path := opened(t)
	must(t, l.Acquire(dir("/a")))
	must(t, l.Close())
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(`{"op":"+","kind":"dir`)
	must(t, errors.Join(err, f.Close()))
	again, err := Open(path)
	must(t, err)
	must(t, again.Acquire(dir("/b")))
	must(t, again.Close())
	last, err := Open(path)
	must(t, err)
	defer last.Close()
	if got := last.Held(); len(got) != 2 || got[0].Args[0] != "/b" {
		t.Errorf("held are %v", got)
	}
}

func TestReplayGoesOnAfterErrorsAndTriesAgain(t *testing.T) {
	l, path := opened(t)
	for _, p := range []string{"/1", "/2", "/3"} {
		must(t, l.Acquire(dir(p)))
	}
	must(t, l.Acquire(file("/4")))
	must(t, l.Close())
	var undone []string
	broken := errors.New("broken")
	fail := true
	undo := Undo{Dir: func(_ context.Context, args []string) error {
		undone = append(undone, args[0])
		if args[0] == "/2" && fail {
			return broken
		}
		return nil
	}}
	err := Replay(t.Context(), path, undo)
	if !errors.Is(err, broken) || !errdefs.IsNotImplemented(err) || !strings.Contains(err.Error(), "directory /2") || !strings.Contains(err.Error(), "file /4") {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(undone, []string{"/3", "/2", "/1"}) {
		t.Errorf("undone %v", undone)
	}
	undone, fail = nil, false
	undo[File] = undo[Dir]
	must(t, Replay(t.Context(), path, undo))
	if !slices.Equal(undone, []string{"/4", "/2"}) {
		t.Errorf("undone again %v", undone)
	}
	must(t, Replay(t.Context(), path, Undo{}))
	must(t, Replay(t.Context(), path+".absent", Undo{}))
}

func TestReplayStopsWithItsContext(t *testing.T) {
	l, path := opened(t)
	must(t, l.Acquire(dir("/a")))
	must(t, l.Close())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Replay(ctx, path, Undo{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

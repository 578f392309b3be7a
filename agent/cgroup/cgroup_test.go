// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newDir(t *testing.T, files map[string]string) Dir {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return Dir(dir)
}

func TestNumbers(t *testing.T) {
	d := newDir(t, map[string]string{"a": "42\n", "b": "max\n", "c": "x\n", "k": "one 1\ntwo max\n\nalone\n"})
	for name, want := range map[string]uint64{"a": 42, "b": Max, "missing": 0} {
		if n, err := d.Uint(name); err != nil || n != want {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	if _, err := d.Uint("c"); err == nil {
		t.Error("a word is a number")
	}
	if m, err := d.Keyed("k"); err != nil || len(m) != 2 || m["one"] != 1 || m["two"] != Max {
		t.Errorf("%v, %v", m, err)
	}
	if m, err := d.Keyed("missing"); err != nil || len(m) != 0 {
		t.Errorf("%v, %v", m, err)
	}
}

func TestProcsOfAllBelow(t *testing.T) {
	d := newDir(t, map[string]string{"cgroup.procs": "1\n2\n", "sub/cgroup.procs": "3\n", "sub/empty/x": ""})
	pids, err := d.Procs()
	slices.Sort(pids)
	if err != nil || !slices.Equal(pids, []int{1, 2, 3}) {
		t.Errorf("%v, %v", pids, err)
	}
	if pids, err := Dir("/does/not/exist").Procs(); err != nil || len(pids) != 0 {
		t.Errorf("%v, %v", pids, err)
	}
}

// A list of processes is longer than what is read at once.
func TestLongFile(t *testing.T) {
	long := strings.Repeat("12345\n", 10000)
	d := newDir(t, map[string]string{"cgroup.procs": long})
	if text, err := d.Read("cgroup.procs"); err != nil || text+"\n" != long {
		t.Errorf("%d of %d bytes, %v", len(text), len(long), err)
	}
	if _, err := Dir("/").Read("proc"); !errors.Is(err, unix.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
}

func TestGoneCgroup(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "gone"))
	if err := d.Kill(); err != nil || d.Exists() {
		t.Errorf("killing nobody: %v", err)
	}
	if err := d.Freeze(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestFreezeThatDoesNotHappen(t *testing.T) {
	d := newDir(t, map[string]string{"cgroup.events": "populated 1\nfrozen 0\n", "cgroup.freeze": "0"})
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if err := d.Freeze(ctx); err == nil {
		t.Error("frozen")
	}
	if text, _ := d.Read("cgroup.freeze"); text != "0" {
		t.Errorf("the wish is still there: %q", text)
	}
	if err := d.Thaw(t.Context()); err != nil {
		t.Error(err)
	}
}

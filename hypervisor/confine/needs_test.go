// SPDX-License-Identifier: Apache-2.0

package confine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What a program needs is found out once, and again when one of its files is another.
func TestKnownNeeds(t *testing.T) {
	dir := t.TempDir()
	program, library := filepath.Join(dir, "program"), filepath.Join(dir, "library")
	kept := filepath.Join(dir, "kept")
	write := func(path, text string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o700), os.Rename(path+".new", path)); err != nil {
			t.Fatal(err)
		}
	}
	write(program, "")
	write(library, "")
	asked := 0
	find := func(context.Context, string) (Needs, error) {
		asked++
		n := NeedsOf(library, program, program, dir+"/absent")
		n.Directories = []string{dir}
		return n, nil
	}
	for i, step := range []struct {
		before func()
		asked  int
	}{
		{func() {}, 1}, {func() {}, 1}, {func() { write(library, "x") }, 2}, {func() {}, 2},
		{func() {
			found, err := filepath.Glob(kept + "/needs-*")
			if err != nil || len(found) != 1 {
				t.Fatalf("kept are %v, %v", found, err)
			}
			write(found[0], `{"files":[]}`)
		}, 3},
		{func() {
			found, _ := filepath.Glob(kept + "/needs-*")
			write(found[0], "rubbish")
		}, 4},
	} {
		step.before()
		n, err := KnownNeeds(t.Context(), kept, program, find)
		if err != nil || asked != step.asked || len(n.Files) != 2 || len(n.Binds()) != 3 {
			t.Errorf("%d: %+v, error %v, asked %d times", i, n, err, asked)
		}
	}
	if _, err := KnownNeeds(t.Context(), "", program, find); err != nil || asked != 5 {
		t.Errorf("nothing is kept: error %v, asked %d times", err, asked)
	}
	if _, err := KnownNeeds(t.Context(), kept, program+"x", find); err == nil {
		t.Error("a program that is not there has needs")
	}
}

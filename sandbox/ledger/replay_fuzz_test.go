// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzReplay has a ledger undone that anybody may have written. What is undone is
// valid and was there; nothing is undone of a file that is not a ledger; and after a
// replay that went well nothing is held.
func FuzzReplay(f *testing.F) {
	const a, b = `{"op":"+","kind":"directory","args":["/a"]}` + "\n", `{"op":"+","kind":"process","args":["7","99"]}` + "\n"
	for _, seed := range []string{"", a + b, a + b[:20], b + a + a, a + "\x00\n", `{"op":"-","kind":"directory","args":["/a"]}` + "\n" + a} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, failing bool) {
		path := filepath.Join(dir, "ledger")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, parseErr := parse(data)
		undone := 0
		undo := Undo{}
		for _, kind := range []Kind{Process, Tap, NetNS, Mount, Cgroup, Dir, File, Socket} {
			undo[kind] = func(_ context.Context, args []string) error {
				undone++
				if err := (Resource{kind, args}).validate(); err != nil {
					t.Errorf("undone is %s %q: %v", kind, args, err)
				}
				if failing && undone%2 == 0 {
					return errors.New("it will not")
				}
				return nil
			}
		}
		err := Replay(t.Context(), path, undo)
		if parseErr != nil && (err == nil || undone > 0) {
			t.Fatalf("%d things of no ledger were undone, error %v", undone, err)
		}
		if err != nil {
			return
		}
		if left, err := os.ReadFile(path); err == nil {
			if held, _, err := parse(left); err != nil || len(held) > 0 {
				t.Fatalf("held are %v, error %v", held, err)
			}
		}
	})
}

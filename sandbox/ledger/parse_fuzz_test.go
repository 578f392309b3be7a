// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"slices"
	"testing"
)

// FuzzParse feeds torn, reordered, truncated and hostile files. What parse
// accepts must be safe to hand to an undo, and must read the same when it is
// written again. The seeds are in testdata/fuzz/FuzzParse and below.
func FuzzParse(f *testing.F) {
	const a, b = `{"op":"+","kind":"directory","args":["/a"]}` + "\n", `{"op":"+","kind":"process","args":["7","99"]}` + "\n"
	const strike = `{"op":"-","kind":"directory","args":["/a"]}` + "\n"
	for _, seed := range []string{
		"", "\n", a, a + b, a + b + strike, strike + a, a + a, a + b[:20], a[:20] + b, a + "\x00", "[]\n", "null\n",
		`{"op":"+","kind":"directory","args":["/"]}` + "\n", `{"op":"+","kind":"mount","args":["/a/../../etc"]}` + "\n",
		`{"op":"+","kind":"process","args":["18446744073709551616","1"]}` + "\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		held, whole, err := parse(data)
		if err != nil {
			return
		}
		if whole > len(data) || whole > 0 && data[whole-1] != '\n' || bytes.IndexByte(data[whole:], '\n') >= 0 {
			t.Fatalf("whole lines end at %d of %q", whole, data)
		}
		var again []byte
		for _, r := range held {
			if err := r.validate(); err != nil {
				t.Fatalf("accepted %v: %v", r, err)
			}
			l, err := line{Op: opAcquire, Kind: r.Kind, Args: r.Args}.encode()
			if err != nil {
				t.Fatal(err)
			}
			again = append(again, l...)
		}
		same, _, err := parse(again)
		if err != nil || !slices.EqualFunc(same, held, Resource.Equal) {
			t.Fatalf("%v became %v, error %v", held, same, err)
		}
	})
}

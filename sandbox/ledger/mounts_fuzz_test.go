// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"
	"strings"
	"testing"
)

// escape writes a path as the kernel does in mountinfo: show_mountinfo mangles blanks,
// backslashes and the hash.
func escape(path string) string {
	return strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`, "#", `\043`).Replace(path)
}

// A mount that is not seen is one that a removal goes through.
func TestMountBelowAnOddName(t *testing.T) {
	for _, odd := range []string{"/pod/a\u00a0b", "/pod/a\u2003b/c", "/pod/\u0085", "/pod/a b\n", `/pod/\040`, "/pod/\xa0", "/pod/\f\v\r"} {
		table := "36 35 98:0 /x " + escape(odd) + " rw,noatime master:1 - ext3 /dev/root rw\n"
		if got := pointsBelow(table, "/pod"); !slices.Equal(got, []string{odd}) {
			t.Errorf("%q was read as %q", odd, got)
		}
	}
}

// FuzzMountinfo has any table read, and any path found in a table as the kernel would
// write it.
func FuzzMountinfo(f *testing.F) {
	f.Add("22 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n", "a b")
	f.Add("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n\n1 2", "\u00a0")
	f.Add("1 2 3:4 / /x\\04", `\134#`)
	f.Fuzz(func(t *testing.T, table, name string) {
		for _, p := range pointsBelow(table, "/pod") {
			if p != "/pod" && !strings.HasPrefix(p, "/pod/") {
				t.Fatalf("%q is not below /pod", p)
			}
		}
		path := "/pod/" + strings.ReplaceAll(name, "\x00", "")
		table = "1 2 3:4 / " + escape(path) + " rw - tmpfs tmpfs rw\n"
		if got := pointsBelow(table, "/pod"); !slices.Equal(got, []string{path}) {
			t.Fatalf("%q was read as %q", path, got)
		}
	})
}

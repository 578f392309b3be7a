// SPDX-License-Identifier: Apache-2.0

package tail

import (
	"bytes"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzConsole has a guest write anything in two pieces: so much is kept, of its end,
// and nothing in it moves a terminal.
func FuzzConsole(f *testing.F) {
	f.Add([]byte("[    0.000000] Linux version 6.12\r\n"), []byte("Kernel panic - not syncing: VFS\r\n"), uint8(40))
	f.Add([]byte("\x1b[2J\x1b]0;title\a"), []byte("\xff\xfe\u202e"), uint8(0))
	f.Add(bytes.Repeat([]byte("x"), 300), []byte("\u00e4"), uint8(255))
	f.Fuzz(func(t *testing.T, first, second []byte, limit uint8) {
		b := New(int(limit))
		for _, p := range [][]byte{first, second} {
			if n, err := b.Write(p); n != len(p) || err != nil {
				t.Fatalf("%d of %d bytes were taken, %v", n, len(p), err)
			}
		}
		all := append(append([]byte{}, first...), second...)
		if len(b.data) != min(len(all), int(limit)) || !bytes.HasSuffix(all, b.data) {
			t.Fatalf("%q is kept of %q", b.data, all)
		}
		text := b.String()
		if !utf8.ValidString(text) {
			t.Fatalf("%q is no text", text)
		}
		for _, r := range text {
			if unicode.IsControl(r) && r != '\n' && r != '\t' {
				t.Fatalf("%q has the control character %U", text, r)
			}
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package tail

import (
	"strings"
	"testing"
)

func TestKeepsOnlyTheTail(t *testing.T) {
	for _, tc := range []struct {
		name   string
		writes []string
		want   string
	}{
		{"nothing", nil, ""},
		{"fits", []string{"ab", "cd"}, "abcd"},
		{"exactly full", []string{"abcdefgh"}, "abcdefgh"},
		{"drops the oldest", []string{"abcdef", "ghij"}, "cdefghij"},
		{"one write longer than all", []string{"x", "0123456789"}, "23456789"},
		{"byte by byte", strings.Split("0123456789", ""), "23456789"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := New(8)
			for _, w := range tc.writes {
				if n, err := b.Write([]byte(w)); n != len(w) || err != nil {
					t.Fatalf("Write(%q) = %d, %v", w, n, err)
				}
			}
			if got := b.String(); got != tc.want {
				t.Errorf("tail %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTextIsPrintable(t *testing.T) {
	b := New(64)
	_, _ = b.Write([]byte("\x1b[31mred\r\n\tnext \xff\x00 \u0085 é\n"))
	if got, want := b.String(), "?[31mred\n\tnext ?? ? é"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
}

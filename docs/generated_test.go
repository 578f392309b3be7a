// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

// update writes the generated parts of the pages: go test ./docs -update
var update = flag.Bool("update", false, "write the generated parts of the pages instead of comparing them")

// holds compares the part of a page between the markers <!-- name:begin --> and
// <!-- name:end --> with what the code says, or writes it there.
func holds(t *testing.T, page, name, want string) {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, got, after, err := cut(string(data), name)
	if err != nil {
		t.Fatalf("%s: %v", page, err)
	}
	want = "\n" + strings.TrimSpace(want) + "\n"
	switch {
	case got == want:
	case *update:
		if err := os.WriteFile(page, []byte(before+want+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s: the part %s is not what the code says; run go test ./docs -update\ngot:%s\nwant:%s", page, name, got, want)
	}
}

// cut finds a generated part; the markers belong to what is around it.
func cut(page, name string) (before, part, after string, err error) {
	begin, end := "<!-- "+name+":begin -->", "<!-- "+name+":end -->"
	if strings.Count(page, begin) != 1 || strings.Count(page, end) != 1 {
		return "", "", "", fmt.Errorf("the markers %s and %s have to be there once each", begin, end)
	}
	before, rest, _ := strings.Cut(page, begin)
	part, after, ok := strings.Cut(rest, end)
	if !ok {
		return "", "", "", fmt.Errorf("the marker %s comes before %s", end, begin)
	}
	return before + begin, part, end + after, nil
}

// table writes a table of Markdown.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + strings.ReplaceAll(c, "|", `\|`) + " ")
		}
		b.WriteString("|\n")
	}
	line(head)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

func TestMarkersAreFound(t *testing.T) {
	before, part, after, err := cut("a<!-- x:begin -->b<!-- x:end -->c", "x")
	if before != "a<!-- x:begin -->" || part != "b" || after != "<!-- x:end -->c" || err != nil {
		t.Errorf("got %q, %q, %q, error %v", before, part, after, err)
	}
	for _, bad := range []string{"", "<!-- x:begin -->", "<!-- x:end --><!-- x:begin -->", "<!-- x:begin --><!-- x:begin --><!-- x:end -->"} {
		if _, _, _, err := cut(bad, "x"); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

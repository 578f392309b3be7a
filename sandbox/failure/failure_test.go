// SPDX-License-Identifier: Apache-2.0

package failure

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// The set is closed: each constant is explained, once, and nothing else is.
func TestEveryCodeIsExplained(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[Code]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			for _, value := range v.Values {
				declared[Code(strings.Trim(value.(*ast.BasicLit).Value, `"`))] = true
			}
		}
		return true
	})
	for _, e := range All() {
		if !declared[e.Code] {
			t.Errorf("the code %q is explained twice, or not declared", e.Code)
		}
		delete(declared, e.Code)
		for _, text := range []string{e.Meaning, e.Causes, e.Remedy} {
			if text == "" || strings.ToUpper(text[:1]) == text[:1] || strings.HasSuffix(text, ".") {
				t.Errorf("%s: %q is not a half sentence", e.Code, text)
			}
		}
	}
	if len(declared) > 0 {
		t.Errorf("not explained: %v", declared)
	}
	if Code("no such code").Remedy() != "" {
		t.Error("an unknown code has a remedy")
	}
}

// hostile is what a guest might say to whoever reads its last words.
func hostile() string {
	return strings.Repeat("\x1b]0;title\a\x1b[2J\r\x00\xff\u202e<&>\"\\\n", 100_000) + "the end"
}

func TestCleanIsBoundedAndPrintable(t *testing.T) {
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{
		{"", 8, ""},
		{"short\n", 8, "short"},
		{"one\ntwo\nthree", 10, "two\nthree"},
		{"one\ntwo\nthree", 8, "three"},
		{"0123456789", 4, "6789"},
		{"äöü", 5, "öü"},
		{"a\x1b[31mb\r\nc\u202ed\x7f\u0085\xff", 80, "a?[31mb\nc?d???"},
	} {
		if got := Clean(c.text, c.limit); got != c.want {
			t.Errorf("Clean(%q, %d) = %q, want %q", c.text, c.limit, got, c.want)
		}
	}
	got := Clean(hostile(), 1000)
	if len(got) > 1000 || !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\x00\a\r\u202e") || !strings.HasSuffix(got, "the end") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func TestLine(t *testing.T) {
	r := &Report{Pod: "p", Step: "agent", Code: AgentTimeout, Cause: errors.New("no\nanswer"), Console: "one\ntwo", VMMLog: "warning"}
	want := `pod p did not start: step agent: no answer [agent-timeout]; ` + AgentTimeout.Remedy() +
		`; the guest's console ends: "one two"; the VMM's log ends: "warning"`
	if got := r.Error(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := (&Report{Pod: "p", Step: StepRunning, Code: Internal}).Error(); !strings.HasPrefix(got, "pod p died: ") {
		t.Errorf("%s", got)
	}
	h := hostile()
	got := (&Report{Pod: "p", Step: "agent", Code: Internal, Cause: errors.New(h), Console: h, VMMLog: h}).Error()
	if len(got) > 2<<10 || strings.ContainsAny(got, "\n\x1b\r\u202e") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	h := hostile()
	in := &Report{Pod: "p", Namespace: "n", Step: "vm", Code: VMMFailed, Cause: errors.New(h), Console: h, VMMLog: h, At: time.Now().Truncate(0)}
	if err := in.Write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || len(text) > 64<<10 {
		t.Fatalf("%d bytes, error %v", len(text), err)
	}
	var fields map[string]string
	if err := json.Unmarshal(text, &fields); err != nil || fields["remedy"] != VMMFailed.Remedy() || fields["meaning"] == "" {
		t.Errorf("fields %v, error %v", fields, err)
	}
	out, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if out.Error() != in.Error() || !out.At.Equal(in.At) || out.Namespace != "n" || len(out.Console) < 1000 {
		t.Errorf("read %+v", out)
	}
	if err := in.Write(filepath.Join(t.TempDir(), "no", FileName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a report without a directory: %v", err)
	}
}

// A report may have been written by somebody else.
func TestReadOfAForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	for _, text := range []string{"", "{", `{"at": 5}`, `{"pod": "` + strings.Repeat("x", 1<<20)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := Read(path); err == nil {
			t.Errorf("%.20q: read %v", text, r)
		}
	}
	if err := os.WriteFile(path, []byte(`{"pod":"\u001b[2Jp","code":"x\ny","cause":"\u001bc"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Read(path)
	if err != nil || r.Pod != "?[2Jp" || r.Code != "x y" || r.Cause.Error() != "?c" {
		t.Errorf("read %+v, error %v", r, err)
	}
}

// Of many pods that fail, the last are kept.
func TestRecordsAreFew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "failures")
	if got, err := Records(dir); err != nil || len(got) > 0 {
		t.Fatalf("before there are any: %v, error %v", got, err)
	}
	at := time.Now().Add(-time.Hour)
	for i := range Kept + 5 {
		r := &Report{Pod: fmt.Sprintf("p%d", i), Namespace: "n", Code: Internal, At: at}
		if err := Keep(dir, r); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second)
		if err := os.Chtimes(record(dir, "n", r.Pod), at, at); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Records(dir)
	if err != nil || len(got) != Kept || got[0].Pod != fmt.Sprintf("p%d", Kept+4) || got[Kept-1].Pod != "p5" {
		t.Fatalf("%d records, error %v", len(got), err)
	}
	if err := errors.Join(Forget(dir, "n", "p20"), Forget(dir, "n", "p20"), os.WriteFile(record(dir, "n", "bad"), []byte("{"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got, err := Records(dir); err == nil || len(got) != Kept-1 {
		t.Errorf("with one that is none: %d records, error %v", len(got), err)
	}
}

func TestCodesOfErrors(t *testing.T) {
	if With(Internal, nil) != nil {
		t.Error("no error has a code")
	}
	boom := errors.New("boom")
	err := fmt.Errorf("outside: %w", With(TooLarge, boom))
	if code, known := CodeOf(err); code != TooLarge || !known || !errors.Is(err, boom) || err.Error() != "outside: boom" {
		t.Errorf("%v has the code %s", err, code)
	}
	if code, known := CodeOf(boom); known {
		t.Errorf("a plain error has the code %s", code)
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/integration/conformance"
)

func TestDifference(t *testing.T) {
	for _, c := range []struct {
		one, other string
		want       []string
	}{
		{"a\nb\n", "a\nb\n", nil},
		{"a\nb\nc\n", "a\nc\n", []string{"-b"}},
		{"a\nc\n", "a\nb\nc\n", []string{"+b"}},
		{"a\nx\nc\n", "a\ny\nc\n", []string{"-x", "+y"}},
		{"", "a\n", []string{"+a"}},
	} {
		if got := difference(c.one, c.other); !slices.Equal(got, c.want) {
			t.Errorf("%q and %q differ by %q, want %q", c.one, c.other, got, c.want)
		}
	}
}

// What has to differ is taken out, and nothing beside it.
func TestNormal(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`out| SigIgn:\t0000000180000002`, `out| SigIgn:\t0000000000000002`},
		{`out| SigIgn:\t0000000240000002`, `out| SigIgn:\t0000000240000002`},
		{"out| / type=overlay flags=rw,relatime options=lowerdir=/x,rw private source=overlay\n", "out| / storage flags=rw,relatime private\n"},
		{"out| / type=virtiofs flags=ro,relatime options=rw private source=none\n", "out| / storage flags=ro,relatime private\n"},
		{"out| /v type=ext4 flags=rw,nodev options=rw master source=/dev/vda\n", "out| /v storage flags=rw,nodev private\n"},
		{"out| /tmp type=tmpfs flags=rw options=rw,size=1024k master source=tmpfs\n", "out| /tmp type=tmpfs flags=rw options=rw,size=1024k master source=tmpfs\n"},
		{"out| core link 0777 0:0 -> /proc/kcore\n", ""},
		{"out| core link 0777 0:0 -> /elsewhere\n", "out| core link 0777 0:0 -> /elsewhere\n"},
		{"exit 0\n", "exit 0\n"},
	} {
		if got := normal(c.text); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.text, got, c.want)
		}
	}
}

func TestKindOfError(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "ok"},
		{errors.New("whatever"), "refused"},
		{fmt.Errorf("task: %w", errdefs.ErrNotFound), "not found"},
		{errors.New(`exec: "x": executable file not found in $PATH`), "refused, no such command"},
		{fmt.Errorf("open x: Permission denied: %w", errdefs.ErrFailedPrecondition), "refused, permission denied"},
	} {
		if got := kind(c.err); got != c.want {
			t.Errorf("%v is %q, want %q", c.err, got, c.want)
		}
	}
	var log transcript
	log.answer("create", errdefs.ErrInvalidArgument)
	log.answer("pause", errdefs.ErrNotImplemented)
	log.block("out", "a\tb\nend")
	if got, want := log.String(), "create: refused\npause: refused\nout| a\\tb\nout| end (without an end of line)\n"; got != want {
		t.Errorf("the transcript is %q, want %q", got, want)
	}
}

// The list and the result are held against each other in both directions, and a row that shows nothing never passes.
func TestConclude(t *testing.T) {
	listed := conformance.Expected{suite: {"differs": "it does", "broken": "it does", "gone": "it was"}}
	all := []result{
		{row: row{name: "same"}}, {row: row{name: "differs"}, difference: []string{"-a"}},
		{row: row{name: "broken"}, err: errors.New("no answer")},
	}
	for _, c := range []struct {
		name    string
		results []result
		whole   bool
		want    []string
	}{
		{"in part, as listed", all[:2], false, nil},
		{"a row that shows nothing", all, false, []string{"shows nothing: broken"}},
		{"a new difference", []result{{row: row{name: "new"}, difference: []string{"+b"}}}, false, []string{"failed, and is not expected to: new: +b"}},
		{"a listed row that does not differ", []result{{row: row{name: "differs"}}}, false, []string{"passed, and is in the list of expected failures: differs"}},
		{"a listed row that was not run", all[:2], true, []string{"was not run: broken", "was not run: gone"}},
	} {
		out := t.TempDir()
		err := conclude(c.results, listed, settings{out: out}, c.whole)
		if (err == nil) != (len(c.want) == 0) {
			t.Errorf("%s: the error is %v", c.name, err)
		}
		for _, want := range c.want {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error %v does not say %q", c.name, err, want)
			}
		}
		report, err := os.ReadFile(filepath.Join(out, "difftest.txt"))
		if err != nil || !strings.Contains(string(report), c.results[0].row.name) {
			t.Errorf("%s: the report is %q, error %v", c.name, report, err)
		}
	}
}

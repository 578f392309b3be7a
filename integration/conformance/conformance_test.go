// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const sampleReport = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites><testsuite name="s">
<testcase name="[BeforeSuite]" classname="s" status="passed" time="0.1"></testcase>
<testcase name="[It] a works" classname="s" status="passed" time="1.5"></testcase>
<testcase name="[It] b works" classname="s" status="failed" time="2"><failure message="no &lt;b&gt;&#xA;more" type="failed"></failure></testcase>
<testcase name="[It] c works" classname="s" status="timedout" time="3"><error message="late" type="timedout"></error></testcase>
<testcase name="[It] benchmark of d" classname="s" status="skipped" time="0"><skipped message="skipped"></skipped></testcase>
<testcase name="[It] d works" classname="s" status="skipped" time="0"><skipped message="skipped"></skipped></testcase>
</testsuite></testsuites>`

const samplePage = "# Page\n\nWith `code` in the text.\n\n| Spec | Handlers | Why |\n|---|---|---|\n" +
	"| `b works` | kata, other | the host |\n| `a works` | other | for show |\n| `e works` | other | gone |\n"

func TestBothDirections(t *testing.T) {
	report, err := Read(strings.NewReader(sampleReport))
	if err != nil || len(report.Skipped) != 2 || len(report.Passed) != 1 || len(report.Failed) != 2 || report.Elapsed.Seconds() != 6.6 {
		t.Fatalf("read %+v, error %v", report, err)
	}
	expected, err := ReadExpected(strings.NewReader(samplePage))
	if err != nil {
		t.Fatal(err)
	}
	got := expected.Compare("kata", report, true)
	want := "failed, and is not expected to: c works: late\nwas skipped, and is not expected to be: d works"
	if strings.Join(got, "\n") != want {
		t.Errorf("kata: %q", got)
	}
	got = expected.Compare("other", report, true)
	want = "failed, and is not expected to: c works: late\n" +
		"passed, and is in the list of expected failures: a works\n" +
		"was skipped, and is not expected to be: d works\n" +
		"is in the list of expected failures, and was not run: e works"
	if strings.Join(got, "\n") != want {
		t.Errorf("other: %q", got)
	}
	if got = expected.Compare("other", report, false); len(got) != 2 {
		t.Errorf("other, in part: %q", got)
	}
}

func TestBrokenInput(t *testing.T) {
	if _, err := Read(strings.NewReader("<testsuites>")); err == nil {
		t.Error("half a report was read")
	}
	if _, err := ReadExpected(strings.NewReader("| `b works` | kata |  |\n")); err == nil {
		t.Error("a row without a reason was read")
	}
}

// TestThePageIsRead holds the project's own list to its form.
func TestThePageIsRead(t *testing.T) {
	page, err := os.Open("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	expected, err := ReadExpected(page)
	if err != nil {
		t.Fatal(err)
	}
	for handler := range expected {
		if !slices.Contains([]string{"runc", "kata", "kata-sandboxapi", "difftest"}, handler) {
			t.Errorf("the page names the handler %q, which is never run", handler)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/katapod/katapod/sandbox/failure"
)

// writeRecord puts a file where the reports of pods that failed are kept.
func writeRecord(t *testing.T, state, name, text string) {
	t.Helper()
	path := filepath.Join(state, "failures", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFailure(t *testing.T) {
	path, state := configured(t)
	if got := tool(t, nil, "failure", "-config", path, "-json"); got.code != 0 || strings.TrimSpace(got.out) != "[]" {
		t.Errorf("without failures: %+v", got)
	}
	writeRecord(t, state, "p1@k8s.io.json",
		`{"pod":"p1","namespace":"k8s.io","step":"running","code":"guest-panicked","cause":"it panicked","console":"Kernel panic","vmm_log":"\u001b[2J"}`)
	if got := tool(t, nil, "failure", "-config", path); got.code != 0 || !strings.Contains(got.out, "p1") || !strings.Contains(got.out, "guest-panicked") {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{"p1", "p1@k8s.io"} {
		got := tool(t, nil, "failure", "-config", path, name)
		for _, says := range []string{"guest-panicked: the guest's kernel panicked", "it panicked", failure.GuestPanicked.Remedy(), "console:\nKernel panic", "VMM:\n?[2J"} {
			if got.code != 0 || !strings.Contains(got.out, says) {
				t.Errorf("%s: %+v does not say %q", name, got, says)
			}
		}
	}
	got := tool(t, nil, "failure", "-config", path, "-json", "p1")
	var r failed
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || r.Code != failure.GuestPanicked || r.Causes == "" {
		t.Errorf("%+v: %+v, error %v", got, r, err)
	}
	if got := tool(t, nil, "failure", "-config", path, "absent"); got.code != 1 || !strings.Contains(got.err, "no failure of a pod") {
		t.Errorf("%+v", got)
	}
	if got := tool(t, nil, "failure", "-config", path, "a", "b"); got.code != 2 {
		t.Errorf("%+v", got)
	}
	writeRecord(t, state, "p2@k8s.io.json", "{")
	if got := tool(t, nil, "failure", "-config", path); got.code != 1 || !strings.Contains(got.out, "p1") || !strings.Contains(got.err, "p2@k8s.io.json") {
		t.Errorf("with a report that is none: %+v", got)
	}
}

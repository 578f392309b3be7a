// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/sandbox/failure"
)

func TestCodesOfFailures(t *testing.T) {
	tested("sandbox", "TestEveryCodeIsProvoked")(t)
	var rows [][]string
	for _, e := range failure.All() {
		rows = append(rows, []string{code(string(e.Code)), e.Meaning, e.Causes, e.Remedy})
	}
	holds(t, "errors.md", "codes", table([]string{"Code", "What happened", "Usually because of", "What to do"}, rows))
}

// The page names each field of the file.
func TestFieldsOfTheReport(t *testing.T) {
	page, err := os.ReadFile("errors.md")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), failure.FileName)
	full := &failure.Report{Pod: "p", Namespace: "n", Step: "s", Code: failure.Internal, Console: "c", VMMLog: "l", At: time.Now()}
	if err := full.Write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil || len(fields) < 10 {
		t.Fatalf("fields %v, error %v", fields, err)
	}
	for name := range fields {
		if !strings.Contains(string(page), code(name)) {
			t.Errorf("errors.md does not name the field %s of %s", name, failure.FileName)
		}
	}
	if !strings.Contains(string(page), fmt.Sprintf("last %d of the host", failure.Kept)) {
		t.Errorf("errors.md does not say that the last %d reports are kept", failure.Kept)
	}
}

// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
)

// Expected is the list of specs that do not pass: the reason of each, under the name of the handler it fails with. The
// rows of the differential test are listed under its name.
type Expected map[string]map[string]string

// ReadExpected reads the table of docs/conformance.md. A row is an expected failure when its first cell is a spec's
// name in backquotes; the second cell names handlers, separated by commas, and the third says why.
func ReadExpected(page io.Reader) (Expected, error) {
	expected := Expected{}
	lines := bufio.NewScanner(page)
	for lines.Scan() {
		cells := strings.Split(strings.Trim(lines.Text(), "| "), " | ")
		name, quoted := strings.CutPrefix(cells[0], "`")
		if !strings.HasPrefix(lines.Text(), "|") || !quoted {
			continue
		}
		if len(cells) != 3 || strings.TrimSpace(cells[2]) == "" {
			return nil, fmt.Errorf("the row %q has to name a spec, its handlers and a reason: %w", lines.Text(), errdefs.ErrInvalidArgument)
		}
		for _, handler := range strings.Split(cells[1], ",") {
			handler = strings.TrimSpace(handler)
			if expected[handler] == nil {
				expected[handler] = map[string]string{}
			}
			expected[handler][strings.TrimSuffix(name, "`")] = cells[2]
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the list of expected failures: %w", err)
	}
	return expected, nil
}

// Compare tells where the report and the list differ, one line for each spec. A spec that skips itself, because the
// runtime says that it cannot do what is asked, has to be listed like a failure. whole says that every spec of the
// suite was selected; otherwise those that were skipped or are missing say nothing.
func (e Expected) Compare(handler string, r Report, whole bool) []string {
	var differences []string
	listed := e[handler]
	seen := map[string]bool{}
	for _, f := range r.Failed {
		seen[f.Spec] = true
		if listed[f.Spec] == "" {
			message, _, _ := strings.Cut(f.Message, "\n")
			differences = append(differences, fmt.Sprintf("failed, and is not expected to: %s: %s", f.Spec, message))
		}
	}
	for _, spec := range r.Passed {
		seen[spec] = true
		if listed[spec] != "" {
			differences = append(differences, "passed, and is in the list of expected failures: "+spec)
		}
	}
	if !whole {
		return differences
	}
	for _, spec := range r.Skipped {
		seen[spec] = true
		if listed[spec] == "" && !strings.Contains(spec, "benchmark") {
			differences = append(differences, "was skipped, and is not expected to be: "+spec)
		}
	}
	for spec := range listed {
		if !seen[spec] {
			differences = append(differences, "is in the list of expected failures, and was not run: "+spec)
		}
	}
	return differences
}

// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
)

// Expected is the list of expected failures: the reason of each spec, under the name of the handler it fails with.
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

// Compare tells where the report and the list differ, one line for each spec. A spec of the list that was not run is
// a difference when whole says that everything was.
func (e Expected) Compare(handler string, r Report, whole bool) []string {
	var differences []string
	seen := map[string]bool{}
	for _, f := range r.Failed {
		seen[f.Spec] = true
		if e[handler][f.Spec] == "" {
			message, _, _ := strings.Cut(f.Message, "\n")
			differences = append(differences, fmt.Sprintf("failed, and is not expected to: %s: %s", f.Spec, message))
		}
	}
	for _, spec := range r.Passed {
		seen[spec] = true
		if e[handler][spec] != "" {
			differences = append(differences, "passed, and is in the list of expected failures: "+spec)
		}
	}
	if whole {
		for spec := range e[handler] {
			if !seen[spec] {
				differences = append(differences, "is in the list of expected failures, and was not run: "+spec)
			}
		}
	}
	return differences
}

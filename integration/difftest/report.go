// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/katapod/katapod/integration/conformance"
)

// suite is how docs/conformance.md names this test in its lists.
const suite = "difftest"

// conclude prints the table, writes the report, and fails when the rows that differ are not those that are expected
// to. whole says that all rows were run.
func conclude(results []result, expected conformance.Expected, o settings, whole bool) error {
	table, details := &strings.Builder{}, &strings.Builder{}
	var seen conformance.Report
	for _, r := range results {
		reason := expected[suite][r.row.name]
		fmt.Fprintf(table, "%-11s %-56s %s\n", r.word(reason), r.row.name, reason)
		switch {
		case r.err != nil:
			seen.Failed = append(seen.Failed, conformance.Failure{Spec: r.row.name, Message: r.err.Error()})
		case len(r.difference) > 0:
			seen.Failed = append(seen.Failed, conformance.Failure{Spec: r.row.name, Message: r.difference[0]})
		default:
			seen.Passed = append(seen.Passed, r.row.name)
		}
		r.describe(details, o.verbose)
	}
	path := filepath.Join(o.out, "difftest.txt")
	if err := os.WriteFile(path, []byte(table.String()+details.String()), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	fmt.Printf("\n%s\n%d rows, %d differ; the differences are in %s\n", table, len(results), len(seen.Failed), path)
	return unexpected(results, expected, seen, whole)
}

// describe writes what is to be known of the row beside its verdict; of one that is the same only when asked.
func (r result) describe(to io.Writer, verbose bool) {
	if r.err != nil {
		fmt.Fprintf(to, "\n%s: %v\n", r.row.name, r.err)
	}
	if len(r.difference) > 0 {
		fmt.Fprintf(to, "\n%s: runc -, kata +\n%s\n", r.row.name, strings.Join(r.difference, "\n"))
	}
	if verbose {
		fmt.Fprintf(to, "\n%s under runc:\n%s", r.row.name, r.transcript["runc"])
	}
	for _, side := range []string{"runc", "kata"} {
		if r.said[side] != "" && (verbose || r.verdict() != nil) {
			fmt.Fprintf(to, "%s said %s", side, r.said[side])
		}
	}
}

// word is the row's verdict in a word.
func (r result) word(reason string) string {
	switch {
	case r.err != nil:
		return "ERROR"
	case len(r.difference) > 0 && reason == "":
		return "DIFFERS"
	case len(r.difference) > 0:
		return "as listed"
	case reason != "":
		return "SAME"
	}
	return "same"
}

// unexpected is an error that names every row that is not as the list says. A row that shows nothing is wrong whatever
// the list says.
func unexpected(results []result, expected conformance.Expected, seen conformance.Report, whole bool) error {
	var errs []error
	for _, r := range results {
		if r.err != nil && expected[suite][r.row.name] != "" {
			errs = append(errs, fmt.Errorf("shows nothing: %s", r.row.name))
		}
	}
	for _, d := range expected.Compare(suite, seen, whole) {
		errs = append(errs, errors.New(d))
	}
	return errors.Join(errs...)
}

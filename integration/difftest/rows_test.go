// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestRowsCoverTheirSubjects(t *testing.T) {
	names, about := map[string]bool{}, map[string]int{}
	for _, r := range rows() {
		if names[r.name] {
			t.Errorf("two rows are called %q", r.name)
		}
		names[r.name] = true
		about[r.about]++
		if strings.ContainsAny(r.name, "|`") || len(r.name) > 60 {
			t.Errorf("%q cannot be listed in a table", r.name)
		}
		if (r.script == "") == (r.change == nil) && r.script == "" {
			t.Errorf("%q runs nothing", r.name)
		}
		if !slices.Contains(subjects(), r.about) {
			t.Errorf("%q is about %q, which is no subject", r.name, r.about)
		}
	}
	for _, s := range subjects() {
		if about[s] == 0 {
			t.Errorf("no row is about %q", s)
		}
	}
	if len(names) < 60 {
		t.Errorf("there are %d rows", len(names))
	}
}

// What docs/conformance.md lists are rows.
func TestListedRowsExist(t *testing.T) {
	expected, err := readExpected("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, why := range expected[suite] {
		if !slices.ContainsFunc(rows(), func(r row) bool { return r.name == name }) {
			t.Errorf("the page lists the row %q (%s), which there is not", name, why)
		}
	}
	if len(expected[suite]) == 0 || len(expected[suite]) > 20 {
		t.Errorf("the list has %d rows; it is to be short, and read at all", len(expected[suite]))
	}
}

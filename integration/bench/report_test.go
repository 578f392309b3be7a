// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestQuantile(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3, 6, 10, 8, 7, 9}
	for part, want := range map[float64]float64{0: 1, 0.5: 6, 0.95: 10, 1: 10} {
		if got := quantile(values, part); got != want {
			t.Errorf("quantile %v is %v, want %v", part, got, want)
		}
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("the quantile of nothing is %v, want 0", got)
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		name       string
		target     target
		ours, runc series
		want       bool
	}{
		{"at the limit", atMost(100), series{median: 100}, series{}, true},
		{"above the limit", atMost(100), series{median: 100.1}, series{}, false},
		{"as runc", timesRunc(1), series{median: 400}, series{median: 400}, true},
		{"slower than runc", timesRunc(1), series{median: 401}, series{median: 400}, false},
		{"without runc", timesRunc(3), series{median: 1}, series{}, false},
		{"a short tail", timesRuncTail(1, 1.5), series{400, 600}, series{median: 400}, true},
		{"a long tail", timesRuncTail(1, 1.5), series{400, 601}, series{median: 400}, false},
		{"half of runc", partOfRunc(0.5), series{median: 50}, series{median: 100}, true},
		{"less than half of runc", partOfRunc(0.5), series{median: 49}, series{median: 100}, false},
	} {
		if got := c.target.met(c.ours, c.runc); got != c.want {
			t.Errorf("%s: met is %v, want %v (target %q)", c.name, got, c.want, c.target.text)
		}
	}
}

// Every suite's figures have a row, in whose unit they are printed; only steps need none.
func TestRowsAreDistinct(t *testing.T) {
	var names []string
	for _, r := range rows() {
		if slices.Contains(names, r.name) {
			t.Errorf("%q has two rows", r.name)
		}
		names = append(names, r.name)
	}
}

func TestReport(t *testing.T) {
	start := podStart + ways[0].name
	ours := samples{start: {300, 310, 320}, shimPSS: {20}, "step vm, cold": {30}}
	runc := samples{start: {400}, shimPSS: {10}}
	dir := t.TempDir()
	earlier := map[string]figure{start: {Figure: start, Median: 999}}
	if err := report(dir, figures(ours, runc), earlier); err != nil {
		t.Fatal(err)
	}
	byName, err := readEarlier(filepath.Join(dir, "bench.json"))
	if err != nil {
		t.Fatal(err)
	}
	if f := byName[start]; f.Median != 310 || *f.Ratio != 310.0/400 || !*f.Met || f.Target == "" {
		t.Errorf("the pod's start is reported as %+v", f)
	}
	if f := byName[shimPSS]; f.Unit != "MB" || *f.Met {
		t.Errorf("a shim above its target is reported as %+v", f)
	}
	if f := byName["step vm, cold"]; f.Median != 30 || f.RuncMedian != nil || f.Met != nil {
		t.Errorf("a step is reported as %+v", f)
	}
	if _, found := byName[burstName]; found {
		t.Errorf("%q was not measured and is reported", burstName)
	}
	page, err := os.ReadFile(filepath.Join(dir, "bench.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{start, `class="runc" width="40.0%"`, `class="before" width="100.0%"`} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	var table bytes.Buffer
	if err := printTable(&table, figures(ours, runc), earlier); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), "999.0") {
		t.Errorf("the table does not show the earlier run:\n%s", table.String())
	}
}

func TestEarlierFigures(t *testing.T) {
	if _, err := readEarlier(filepath.Join(t.TempDir(), "none.json")); err == nil {
		t.Error("figures that do not exist were read")
	}
	path := filepath.Join(t.TempDir(), "bad.json")
	text, err := json.Marshal(map[string]int{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readEarlier(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file of another kind was read: %v", err)
	}
}

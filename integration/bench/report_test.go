// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestQuantile(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3, 6, 10, 8, 7, 9}
	for part, want := range map[float64]float64{0: 1, 0.5: 5, 0.9: 9, 0.95: 10, 1: 10} {
		if got := quantile(values, part); got != want {
			t.Errorf("quantile %v is %v, want %v", part, got, want)
		}
	}
	twenty := append(slices.Clone(values), 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)
	if got := quantile(twenty, 0.95); got != 19 {
		t.Errorf("95 in 100 of 1 to 20 are up to %v, want 19", got)
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("the quantile of nothing is %v, want 0", got)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{7}, 7}, {[]float64{3, 1}, 2}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.of); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.of, got, c.want)
		}
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

// Every figure has one row, of a suite that exists, so that a stranger finds it; only steps need none.
func TestRows(t *testing.T) {
	var names []string
	for _, r := range rows(100) {
		if slices.Contains(names, r.name) {
			t.Errorf("%q has two rows", r.name)
		}
		names = append(names, r.name)
		if !slices.ContainsFunc(suites(), func(s suite) bool { return s.name == r.suite }) {
			t.Errorf("%q is of suite %q, which does not exist", r.name, r.suite)
		}
	}
	for _, s := range suites() {
		if !slices.ContainsFunc(rows(100), func(r row) bool { return r.suite == s.name }) {
			t.Errorf("suite %q has no row", s.name)
		}
	}
}

func TestReport(t *testing.T) {
	start := podStart + ways[0].name
	ours := samples{start: {300, 310, 320}, shimPSS: {20}, "step vm, cold": {30}}
	runc := samples{start: {400}, shimPSS: {10}}
	dir := t.TempDir()
	line := curve{Title: "Start of each", Unit: "ms"}
	line.add(true, []point{{1, 100}, {2, 50}})
	r := results{
		figures: figures(rows(100), ours, runc, outcomes{"pods": true}),
		curves:  []curve{line},
		earlier: map[string]figure{start: {Figure: start, Median: number999()}},
	}
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	byName, err := readEarlier(filepath.Join(dir, "bench.json"))
	if err != nil {
		t.Fatal(err)
	}
	if f := byName[start]; *f.Median != 310 || *f.Ratio != 310.0/400 || !*f.Met || f.Target == "" {
		t.Errorf("the pod's start is reported as %+v", f)
	}
	if f := byName[shimPSS]; f.Unit != "MB" || *f.Met {
		t.Errorf("a shim above its target is reported as %+v", f)
	}
	if f := byName["step vm, cold"]; *f.Median != 30 || f.RuncMedian != nil || f.Met != nil {
		t.Errorf("a step is reported as %+v", f)
	}
	if _, found := byName[burstName]; found {
		t.Errorf("%q is of a suite that did not run and is reported", burstName)
	}
	holdsPage(t, filepath.Join(dir, "bench.html"), start, `class="runc" width="40.0%"`, `class="before" width="100.0%"`,
		"Start of each", `class="ours" points="300.0,0.0 600.0,100.0"`)
	var table bytes.Buffer
	if err := printTable(&table, r.figures, r.earlier); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), "999.0") {
		t.Errorf("the table does not show the earlier run:\n%s", table.String())
	}
}

func number999() *float64 {
	v := 999.0
	return &v
}

func holdsPage(t *testing.T, path string, wants ...string) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range wants {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// The fields of bench.json are what others read it by.
func TestFields(t *testing.T) {
	text, err := json.Marshal(figures(rows(100), samples{}, samples{}, outcomes{"ctr": true}))
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	want := []string{"figure", "median", "met", "p95", "ratio", "runc_median", "target", "unit"}
	if len(all) != 1 || !slices.Equal(slices.Sorted(maps.Keys(all[0])), want) {
		t.Errorf("the figures have other fields than %v: %s", want, text)
	}
}

// What a failed suite did not measure is there, as not met; and so is what it measured before it failed.
func TestFailedSuite(t *testing.T) {
	ours, runc := samples{burstName: {100}}, samples{burstName: {100}}
	all := figures(rows(100), ours, runc, outcomes{"burst": false, "ctr": false, "share": false})
	byName := map[string]figure{}
	for _, f := range all {
		byName[f.Figure] = f
	}
	if f := byName[burstName]; f.Median == nil || *f.Ratio != 1 || *f.Met {
		t.Errorf("a figure of a suite that failed later is reported as %+v", f)
	}
	if f := byName[ctrRun]; f.Median != nil || f.Met == nil || *f.Met {
		t.Errorf("a figure that was not measured is reported as %+v", f)
	}
	if f, found := byName[shareRead]; !found || f.Median != nil || f.Met != nil {
		t.Errorf("a figure without a target that was not measured is reported as %+v, %v", f, found)
	}
	if err := (results{figures: all}).write(t.TempDir()); err != nil {
		t.Errorf("write what was not measured: %v", err)
	}
}

func TestJudgeOfManyPods(t *testing.T) {
	b := &bench{crowd: 20}
	seen := crowded{sizes: map[int]float64{1: 60, 10: 150, 20: 240}}
	for i := range 20 {
		seen.starts = append(seen.starts, float64(100+i))
	}
	s := side{"kata-erofs", samples{}}
	b.judge(s, seen)
	further, flat, _, growth := densityNames(20)
	for name, want := range map[string]float64{densityFurther: 10, further: 180.0 / 19, flat: 0.8, growth: 114.5 / 104.5} {
		if got := s.samples[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%q is %v, want %v", name, got, want)
		}
	}
	if got := seen.sizeCurve(); !slices.Equal(got, []point{{1, 60}, {10, 15}, {20, 12}}) {
		t.Errorf("the curve of memory per pod is %v", got)
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

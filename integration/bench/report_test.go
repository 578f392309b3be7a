// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
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

func TestReport(t *testing.T) {
	ours := samples{podStart: {1500, 1600, 1700}, shimPSS: {20}, "step vm": {300}}
	runc := samples{podStart: {400}, shimPSS: {10}}
	path := filepath.Join(t.TempDir(), "bench.json")
	if err := report(path, figures(ours, runc)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []figure
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	byName := map[string]figure{}
	for _, f := range all {
		byName[f.Figure] = f
	}
	if f := byName[podStart]; f.Median != 1600 || *f.Ratio != 4 || !*f.Met {
		t.Errorf("the pod's start is reported as %+v", f)
	}
	if f := byName[shimPSS]; f.Unit != "MB" || *f.Met {
		t.Errorf("a shim above its target is reported as %+v", f)
	}
	if f := byName["step vm"]; f.Median != 300 || f.RuncMedian != nil || f.Target != nil {
		t.Errorf("a step is reported as %+v", f)
	}
}

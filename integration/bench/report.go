// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// figure is a line of the report. Ratio is ours to runc's; target is the most that the median may be, and null when
// there is none.
type figure struct {
	Figure     string   `json:"figure"`
	Unit       string   `json:"unit"`
	Median     float64  `json:"median"`
	P95        float64  `json:"p95"`
	RuncMedian *float64 `json:"runc_median"`
	Ratio      *float64 `json:"ratio"`
	Target     *float64 `json:"target"`
	Met        *bool    `json:"met"`
}

// figures puts the samples of both runtimes side by side, the well-known ones first, then the start-up's steps.
func figures(ours, runc samples) []figure {
	targets := map[string]float64{podStart: 2000, vmToAgent: 1200, execTrip: 120, shimPSS: 15}
	names := []string{podStart, sandbox, vmToAgent, execTrip, podRemoval, shimPSS, shimBusyPSS, vmmPSS, helpersPSS, workersPSS, guestMemory}
	var steps []string
	for name := range ours {
		if !slices.Contains(names, name) {
			steps = append(steps, name)
		}
	}
	slices.Sort(steps)
	var all []figure
	for _, name := range append(names, steps...) {
		f := figure{Figure: name, Unit: unit(name), Median: quantile(ours[name], 0.5), P95: quantile(ours[name], 0.95)}
		if base := quantile(runc[name], 0.5); base > 0 {
			ratio := f.Median / base
			f.RuncMedian, f.Ratio = &base, &ratio
		}
		if target, ok := targets[name]; ok {
			met := f.Median < target
			f.Target, f.Met = &target, &met
		}
		all = append(all, f)
	}
	return all
}

func unit(name string) string {
	if strings.Contains(name, "PSS") || name == guestMemory {
		return "MB"
	}
	return "ms"
}

// quantile is the smallest sample that at least this part of the samples does not exceed; 0 without samples.
func quantile(values []float64, part float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := int(part * float64(len(sorted)))
	return sorted[min(at, len(sorted)-1)]
}

// report prints the table and writes the JSON.
func report(path string, all []figure) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nfigure\tunit\tmedian\tp95\trunc\tratio\ttarget\tmet\t")
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%s\t%.1f\t%.1f\t%s\t%s\t%s\t%s\t\n", f.Figure, f.Unit, f.Median, f.P95,
			number(f.RuncMedian, "%.1f"), number(f.Ratio, "%.1f×"), number(f.Target, "< %.0f"), answer(f.Met))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the figures: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	fmt.Println("written to", path)
	return nil
}

func number(v *float64, format string) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf(format, *v)
}

func answer(met *bool) string {
	switch {
	case met == nil:
		return "–"
	case *met:
		return "yes"
	}
	return "no"
}

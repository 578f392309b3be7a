// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
)

// readEarlier reads the figures of an earlier run by name; an empty path is none.
func readEarlier(path string) (map[string]figure, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the figures to compare with: %w", err)
	}
	var all []figure
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read the figures to compare with from %s: %w", path, err)
	}
	byName := map[string]figure{}
	for _, f := range all {
		byName[f.Figure] = f
	}
	return byName, nil
}

// results are what a run found, and an earlier run to show beside it.
type results struct {
	figures []figure
	curves  []curve
	earlier map[string]figure
}

// write prints the figures and writes bench.json and bench.html.
func (r results) write(dir string) error {
	if err := printTable(os.Stdout, r.figures, r.earlier); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r.figures, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the figures: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.json"), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	page, err := html(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.html"), page, 0o644); err != nil {
		return fmt.Errorf("write the page of figures: %w", err)
	}
	fmt.Printf("written to bench.json and bench.html in %s\n", dir)
	return nil
}

func printTable(to io.Writer, all []figure, earlier map[string]figure) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nfigure\tunit\tmedian\tp95\trunc\tratio\ttarget\tmet\tearlier\t")
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", f.Figure, f.Unit, number(f.Median, "%.1f"),
			number(f.P95, "%.1f"), number(f.RuncMedian, "%.1f"), number(f.Ratio, "%.2f ×"), dash(f.Target), answer(f.Met), before(f, earlier))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}

// before is the median of the same figure in the earlier run.
func before(f figure, earlier map[string]figure) string {
	return number(earlier[f.Figure].Median, "%.1f")
}

func number(v *float64, format string) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf(format, *v)
}

func dash(text string) string {
	if text == "" {
		return "–"
	}
	return text
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

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
)

//go:embed report.html.tmpl
var page string

// chart is a figure with the lengths of its bars, in percent of the longest.
type chart struct {
	figure
	Ours, Tail, Runc, Before float64
	HasRunc, HasBefore       bool
}

// html is a page that needs nothing but itself.
func html(all []figure, earlier map[string]figure) ([]byte, error) {
	parsed, err := template.New("report").Funcs(template.FuncMap{"number": number, "answer": answer}).Parse(page)
	if err != nil {
		return nil, fmt.Errorf("read the template of the page: %w", err)
	}
	var charts []chart
	for _, f := range all {
		charts = append(charts, newChart(f, earlier))
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, charts); err != nil {
		return nil, fmt.Errorf("fill the page of figures: %w", err)
	}
	return out.Bytes(), nil
}

func newChart(f figure, earlier map[string]figure) chart {
	c := chart{figure: f}
	longest := max(f.Median, f.P95)
	if f.RuncMedian != nil {
		c.HasRunc, longest = true, max(longest, *f.RuncMedian)
	}
	e, found := earlier[f.Figure]
	if found {
		c.HasBefore, longest = true, max(longest, e.Median)
	}
	if longest <= 0 {
		return c
	}
	percent := func(v float64) float64 { return 100 * v / longest }
	c.Ours, c.Tail, c.Before = percent(f.Median), percent(f.P95), percent(e.Median)
	if c.HasRunc {
		c.Runc = percent(*f.RuncMedian)
	}
	return c
}

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

// document is what the page shows.
type document struct {
	Charts []chart
	Curves []curve
}

// html is a page that needs nothing but itself.
func html(r results) ([]byte, error) {
	parsed, err := template.New("report").Funcs(template.FuncMap{"number": number, "answer": answer}).Parse(page)
	if err != nil {
		return nil, fmt.Errorf("read the template of the page: %w", err)
	}
	shown := document{Curves: r.curves}
	for _, f := range r.figures {
		shown.Charts = append(shown.Charts, newChart(f, r.earlier))
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, shown); err != nil {
		return nil, fmt.Errorf("fill the page of figures: %w", err)
	}
	return out.Bytes(), nil
}

func newChart(f figure, earlier map[string]figure) chart {
	before := earlier[f.Figure].Median
	c := chart{figure: f, HasRunc: f.RuncMedian != nil, HasBefore: before != nil}
	longest := 0.0
	for _, v := range []*float64{f.Median, f.P95, f.RuncMedian, before} {
		longest = max(longest, value(v))
	}
	if longest > 0 {
		percent := func(v *float64) float64 { return 100 * value(v) / longest }
		c.Ours, c.Tail, c.Runc, c.Before = percent(f.Median), percent(f.P95), percent(f.RuncMedian), percent(before)
	}
	return c
}

// value is 0 for what was not measured.
func value(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

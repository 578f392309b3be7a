// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"slices"
)

// row is a line of the report: a figure, its unit, and what it should reach.
type row struct {
	name, unit string
	target     target
}

// rows are all figures but the steps of a start, in the order of the report.
func rows() []row {
	return []row{
		{vmToAgent + ways[0].name, "ms", atMost(100)},
		{vmToAgent + ways[2].name, "ms", target{}},
		{podStart + ways[0].name, "ms", timesRuncTail(1, 1.5)},
		{podStart + ways[1].name, "ms", timesRunc(1.4)},
		{podStart + ways[2].name, "ms", timesRunc(3)},
		{burstName, "ms", timesRunc(1.5)},
		{ctrRun, "ms", timesRunc(1.3)},
		{execCall, "ms", timesRunc(1.3)},
		{execCrictl, "ms", timesRunc(1.3)},
		{podRemoval, "ms", timesRunc(1)},
		{shimPSS, "MB", atMost(10)},
		{shimBusyPSS, "MB", target{}},
		{sandboxPSS, "MB", atMost(80)},
		{guestMemory, "MB", atMost(40)},
		{reclaimName, "s", atMost(30)},
		{rootFirst, "MB/s", target{}},
		{rootAgain, "MB/s", partOfRunc(0.5)},
		{shareRead, "MB/s", target{}},
		{shareCreate, "ms", target{}},
		{shareList, "ms", target{}},
		{shareRemove, "ms", target{}},
		{netStream, "MB/s", target{}},
		{netAsk, "µs", target{}},
		{stdioRate, "MB/s", target{}},
		{stdioCPU, "s/GB", target{}},
		{densityFirst, "MB", atMost(80)},
		{densityFurther, "MB", atMost(60)},
		{densityAll, "MB", atMost(60)},
		{densityStart, "ms", target{}},
		{densityGrowth, "×", atMost(1.2)},
	}
}

// figure is a line of the report as bench.json has it. Ratio is our median to runc's; target is empty, and met null,
// where nothing is to be reached.
type figure struct {
	Figure     string   `json:"figure"`
	Unit       string   `json:"unit"`
	Median     float64  `json:"median"`
	P95        float64  `json:"p95"`
	RuncMedian *float64 `json:"runc_median"`
	Ratio      *float64 `json:"ratio"`
	Target     string   `json:"target"`
	Met        *bool    `json:"met"`
}

// figures puts the samples of both runtimes side by side: the known ones that were measured, then the steps.
func figures(ours, runc samples) []figure {
	all := rows()
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if !slices.ContainsFunc(all, func(r row) bool { return r.name == name }) {
			all = append(all, row{name: name, unit: "ms"})
		}
	}
	var found []figure
	for _, r := range all {
		if len(ours[r.name]) > 0 {
			found = append(found, r.figure(ours, runc))
		}
	}
	return found
}

func (r row) figure(ours, runc samples) figure {
	f := figure{Figure: r.name, Unit: r.unit, Median: ours.median(r.name), P95: ours.p95(r.name), Target: r.target.text}
	base := series{runc.median(r.name), runc.p95(r.name)}
	if len(runc[r.name]) > 0 {
		f.RuncMedian = &base.median
		if base.median > 0 {
			ratio := f.Median / base.median
			f.Ratio = &ratio
		}
	}
	if r.target.met != nil {
		met := r.target.met(series{f.Median, f.P95}, base)
		f.Met = &met
	}
	return f
}

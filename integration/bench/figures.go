// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"slices"
)

// row is a line of the report: the suite that measures a figure, the figure, its unit, and what it should reach.
type row struct {
	suite, name, unit string
	target            target
}

// outcomes say of each suite that ran whether it went well.
type outcomes map[string]bool

// rows are all figures but the steps of a start, in the order of the report; crowd is the number of idle pods.
func rows(crowd int) []row {
	further, flat, late, growth := densityNames(crowd)
	return []row{
		{"pods", vmToAgent + ways[0].name, "ms", atMost(100)},
		{"pods", vmToAgent + ways[2].name, "ms", target{}},
		{"pods", podStart + ways[0].name, "ms", timesRuncTail(1, 1.5)},
		{"pods", podStart + ways[1].name, "ms", timesRunc(1.4)},
		{"pods", podStart + ways[2].name, "ms", timesRunc(3)},
		{"burst", burstName, "ms", timesRunc(1.5)},
		{"ctr", ctrRun, "ms", timesRunc(1.3)},
		{"pods", execCall, "ms", timesRunc(1.3)},
		{"pods", execCrictl, "ms", timesRunc(1.3)},
		{"pods", podRemoval + ways[0].name, "ms", timesRunc(1)},
		{"pods", podRemoval + ways[1].name, "ms", timesRunc(1.4)},
		{"pods", podRemoval + ways[2].name, "ms", target{}},
		{"pods", shimPSS, "MB", atMost(10)},
		{"pods", shimBusyPSS, "MB", target{}},
		{"pods", sandboxPSS, "MB", atMost(80)},
		{"density", densityFirst, "MB", atMost(80)},
		{"density", densityFurther, "MB", atMost(60)},
		{"pods", guestMemory, "MB", atMost(40)},
		{"reclaim", reclaimName, "s", atMost(30)},
		{"disk", rootFirst, "MB/s", target{}},
		{"disk", rootAgain, "MB/s", partOfRunc(0.5)},
		{"disk", copying, "MB/s", target{}},
		{"share", shareRead, "MB/s", target{}},
		{"share", shareCreate, "ms", target{}},
		{"share", shareList, "ms", target{}},
		{"share", shareRemove, "ms", target{}},
		{"network", netStream, "MB/s", target{}},
		{"network", netAsk, "µs", target{}},
		{"stdio", stdioRate, "MB/s", target{}},
		{"stdio", stdioCPU, "s/GB", target{}},
		{"density", further, "MB", atMost(60)},
		{"density", flat, "×", atMost(1)},
		{"density", late, "ms", target{}},
		{"density", growth, "×", atMost(1.2)},
		{"overhead", overheadName, "MB", target{}},
	}
}

// figure is a line of the report as bench.json has it. Ratio is our median to runc's; target is empty, and met null,
// where nothing is to be reached. The median is null where a suite ended before it had measured.
type figure struct {
	Figure     string   `json:"figure"`
	Unit       string   `json:"unit"`
	Median     *float64 `json:"median"`
	P95        *float64 `json:"p95"`
	RuncMedian *float64 `json:"runc_median"`
	Ratio      *float64 `json:"ratio"`
	Target     string   `json:"target"`
	Met        *bool    `json:"met"`
}

// figures puts the samples of both runtimes side by side: the known ones of the suites that ran, then the steps. A
// suite that failed has reached none of its targets, whatever it measured before.
func figures(known []row, ours, runc samples, went outcomes) []figure {
	all := slices.DeleteFunc(slices.Clone(known), func(r row) bool {
		_, ran := went[r.suite]
		return !ran
	})
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if !slices.ContainsFunc(known, func(r row) bool { return r.name == name }) {
			all = append(all, row{suite: "pods", name: name, unit: "ms"})
		}
	}
	found := []figure{}
	for _, r := range all {
		f := r.figure(ours, runc)
		if f.Met != nil {
			*f.Met = *f.Met && went[r.suite]
		}
		found = append(found, f)
	}
	return found
}

func (r row) figure(ours, runc samples) figure {
	f := figure{Figure: r.name, Unit: r.unit, Target: r.target.text}
	mine, base := ours.series(r.name), runc.series(r.name)
	if len(ours[r.name]) > 0 {
		f.Median, f.P95 = &mine.median, &mine.p95
	}
	if len(runc[r.name]) > 0 {
		f.RuncMedian = &base.median
	}
	if f.Median != nil && base.median > 0 {
		ratio := mine.median / base.median
		f.Ratio = &ratio
	}
	if r.target.met != nil {
		met := f.Median != nil && r.target.met(mine, base)
		f.Met = &met
	}
	return f
}

// SPDX-License-Identifier: Apache-2.0

package main

// line is a straight one: value at no pods, and growth per pod.
type line struct{ start, slope float64 }

func (l line) at(pods float64) float64 { return l.start + l.slope*pods }

// fit is the line with the least squares of distances to the points; it is flat for less than two.
func fit(points []point) line {
	if len(points) == 0 {
		return line{}
	}
	var meanX, meanY float64
	for _, p := range points {
		meanX += float64(p.pods)
		meanY += p.value
	}
	meanX /= float64(len(points))
	meanY /= float64(len(points))
	var together, alone float64
	for _, p := range points {
		dx := float64(p.pods) - meanX
		together += dx * (p.value - meanY)
		alone += dx * dx
	}
	if alone == 0 {
		return line{start: meanY}
	}
	slope := together / alone
	return line{start: meanY - slope*meanX, slope: slope}
}

// warm is without the first quarter of the points, in which heaps, pools and caches fill.
func warm(points []point) []point { return points[len(points)/4:] }

// verdict is what became of one rule.
type verdict struct {
	rule
	first, last float64
	grown       float64 // by the fitted line
	line        line
	crowdGrowth float64
	crowded     bool // there were enough bursts to say
}

// judge applies a rule. The first burst is the warm-up of the others.
func judge(r rule, series, peaks []point) verdict {
	v := verdict{rule: r}
	if counted := warm(series); len(counted) > 0 {
		v.first, v.last, v.line = counted[0].value, counted[len(counted)-1].value, fit(counted)
		v.grown = v.line.slope * float64(counted[len(counted)-1].pods-counted[0].pods)
	}
	if len(peaks) > 1 {
		first, last := peaks[0], peaks[len(peaks)-1]
		v.crowded, v.crowdGrowth = true, (last.value-first.value)/float64(last.pods-first.pods)
	}
	return v
}

func (v verdict) grows() bool {
	return v.line.slope > v.limit && v.grown > v.noise || v.crowded && v.crowdGrowth > v.crowd
}

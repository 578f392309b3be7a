// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// target is what a figure should reach. The zero value is no target.
type target struct {
	text string
	met  func(ours, runc series) bool
}

// series is what a target judges: one figure of one runtime.
type series struct{ median, p95 float64 }

// atMost wants the median at or below a value in the figure's unit.
func atMost(limit float64) target {
	return target{fmt.Sprintf("≤ %g", limit), func(ours, _ series) bool { return ours.median <= limit }}
}

// timesRunc wants the median at or below that of runc in the same run, times the factor.
func timesRunc(factor float64) target {
	return target{fmt.Sprintf("≤ %g × runc", factor), func(ours, runc series) bool {
		return runc.median > 0 && ours.median <= factor*runc.median
	}}
}

// timesRuncTail wants the same, and the 95th percentile at or below runc's median times another factor.
func timesRuncTail(factor, tail float64) target {
	middle := timesRunc(factor)
	return target{fmt.Sprintf("%s, p95 ≤ %g ×", middle.text, tail), func(ours, runc series) bool {
		return middle.met(ours, runc) && ours.p95 <= tail*runc.median
	}}
}

// partOfRunc wants the median, of which more is better, at or above that of runc times the factor.
func partOfRunc(factor float64) target {
	return target{fmt.Sprintf("≥ %g × runc", factor), func(ours, runc series) bool {
		return ours.median >= factor*runc.median && ours.median > 0
	}}
}

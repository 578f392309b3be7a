// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"slices"
	"time"
)

// samples are measured values by the name of what was measured.
type samples map[string][]float64

func (s samples) add(name string, value float64) { s[name] = append(s[name], value) }

func (s samples) addTime(name string, since time.Time) { s.add(name, milliseconds(time.Since(since))) }

func (s samples) series(name string) series {
	return series{median(s[name]), quantile(s[name], 0.95)}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// median is the value in the middle, or halfway between the two there; 0 without samples.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	high := len(sorted) / 2
	return (sorted[(len(sorted)-1)/2] + sorted[high]) / 2
}

// quantile is the smallest sample that at least this part of the samples does not exceed; 0 without samples.
func quantile(values []float64, part float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	const rounding = 1e-9 // 0.95 of 20 is 19, whatever the last bits of the product
	rank := int(math.Ceil(part*float64(len(sorted)) - rounding))
	return sorted[max(rank, 1)-1]
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"
)

// samples are measured values by the name of what was measured.
type samples map[string][]float64

func (s samples) add(name string, value float64) { s[name] = append(s[name], value) }

func (s samples) addTime(name string, since time.Time) { s.add(name, milliseconds(time.Since(since))) }

func (s samples) series(name string) series {
	return series{quantile(s[name], 0.5), quantile(s[name], 0.95)}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// quantile is the smallest sample that at least this part of the samples does not exceed; 0 without samples.
func quantile(values []float64, part float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := int(part * float64(len(sorted)))
	return sorted[min(at, len(sorted)-1)]
}

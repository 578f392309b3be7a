// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	densityFirst   = "sandbox PSS of the first of many idle pods"
	densityFurther = "sandbox PSS of each further idle pod, 10 pods"
)

// densityNames are the figures whose name has the number of pods.
func densityNames(crowd int) (further, flat, start, growth string) {
	many := fmt.Sprintf("%d idle pods: ", crowd)
	return fmt.Sprintf("sandbox PSS of each further idle pod, %d pods", crowd),
		many + "memory per pod, times that with 10 pods",
		many + "start of one of the last ten",
		many + "start of one of the last ten, times that of the first ten"
}

// leastCrowd keeps the first ten apart from the last ten.
const leastCrowd = 20

// crowded is what a runtime did with many pods.
type crowded struct {
	starts []float64       // ms, in the order of the pods
	sizes  map[int]float64 // MB of all pods, by how many there were
}

// density starts pods one after the other and keeps them.
func density(ctx context.Context, b *bench) error {
	starts := curve{Title: fmt.Sprintf("Start of each of %d idle pods", b.crowd), Unit: "ms"}
	sizes := curve{Title: "Memory per pod, by the number of idle pods", Unit: "MB"}
	for _, s := range b.sides() {
		var all []pod
		seen, err := b.fill(ctx, s, &all)
		if err := errors.Join(err, b.removeAll(ctx, all)); err != nil {
			return fmt.Errorf("with %s: %w", s.handler, err)
		}
		b.judge(s, seen)
		starts.add(s.ours(), seen.startCurve())
		sizes.add(s.ours(), seen.sizeCurve())
	}
	b.curves = append(b.curves, starts, sizes)
	return nil
}

func (b *bench) fill(ctx context.Context, s side, all *[]pod) (crowded, error) {
	seen := crowded{sizes: map[int]float64{}}
	for i := range b.crowd {
		begin := time.Now()
		p, err := b.Start(ctx, s.handler, fmt.Sprintf("dense-%d", i), waiting(nil, nil))
		if err != nil {
			return seen, fmt.Errorf("with %d pods on the node: %w", i, err)
		}
		*all = append(*all, p)
		seen.starts = append(seen.starts, milliseconds(time.Since(begin)))
		if count := i + 1; count == 1 || count%10 == 0 || count == b.crowd {
			// What is judged is judged of idle pods; the points between are for the curve.
			if count == 1 || count == 10 || count == b.crowd {
				if err := waitIdle(ctx); err != nil {
					return seen, err
				}
			}
			m, err := b.memory()
			if err != nil {
				return seen, err
			}
			seen.sizes[count] = m.all
		}
	}
	return seen, nil
}

func (b *bench) judge(s side, seen crowded) {
	n := b.crowd
	early, late := median(seen.starts[:10]), median(seen.starts[n-10:])
	further, flat, start, growth := densityNames(n)
	s.samples.add(densityFirst, seen.sizes[1])
	s.samples.add(densityFurther, (seen.sizes[10]-seen.sizes[1])/9)
	s.samples.add(further, (seen.sizes[n]-seen.sizes[1])/float64(n-1))
	s.samples.add(flat, seen.sizes[n]/float64(n)/(seen.sizes[10]/10))
	s.samples.add(start, late)
	s.samples.add(growth, late/early)
}

func (c crowded) startCurve() []point {
	var line []point
	for i, took := range c.starts {
		line = append(line, point{float64(i + 1), took})
	}
	return line
}

func (c crowded) sizeCurve() []point {
	var line []point
	for count := range len(c.starts) + 1 {
		if size, measured := c.sizes[count]; measured {
			line = append(line, point{float64(count), size / float64(count)})
		}
	}
	return line
}

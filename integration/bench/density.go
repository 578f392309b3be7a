// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	densityFirst   = "sandbox PSS of the first of many pods"
	densityFurther = "sandbox PSS of each further pod, 10 pods"
	densityAll     = "sandbox PSS of each further pod, 100 pods"
	densityStart   = "start of the 100th idle pod"
	densityGrowth  = "start of pods 91 to 100, times that of pods 1 to 10"
)

const densitySize = 100

// density starts pods one after the other and keeps them.
func density(ctx context.Context, b *bench) error {
	for _, s := range b.sides() {
		var all []pod
		err := b.fill(ctx, s, &all)
		if err := errors.Join(err, b.removeAll(ctx, all)); err != nil {
			return fmt.Errorf("with %s: %w", s.handler, err)
		}
	}
	return nil
}

func (b *bench) fill(ctx context.Context, s side, all *[]pod) error {
	var starts, sizes []float64
	for i := range densitySize {
		begin := time.Now()
		p, err := b.Start(ctx, s.handler, fmt.Sprintf("dense-%d", i), waiting(nil, nil))
		if err != nil {
			return fmt.Errorf("with %d pods on the node: %w", i, err)
		}
		*all = append(*all, p)
		starts = append(starts, milliseconds(time.Since(begin)))
		if slices.Contains([]int{1, 10, densitySize}, i+1) {
			if err := waitIdle(ctx); err != nil {
				return err
			}
			m, err := b.memory()
			if err != nil {
				return err
			}
			sizes = append(sizes, m.all)
		}
	}
	early, late := quantile(starts[:10], 0.5), quantile(starts[densitySize-10:], 0.5)
	s.samples.add(densityFirst, sizes[0])
	s.samples.add(densityFurther, (sizes[1]-sizes[0])/9)
	s.samples.add(densityAll, (sizes[2]-sizes[0])/(densitySize-1))
	s.samples.add(densityStart, late)
	s.samples.add(densityGrowth, late/early)
	return nil
}

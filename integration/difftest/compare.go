// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/katapod/katapod/integration/node"
)

// result is what came of a row.
type result struct {
	row        row
	transcript map[string]string // by the side's name, after normal
	said       map[string]string // by the side's name: the errors
	difference []string          // lines of runc's behind "-", of kata's behind "+"
	err        error             // the row shows nothing
	elapsed    time.Duration
}

// errDiffers marks the progress line of a row.
var errDiffers = errors.New("differs")

// compareAll plays the rows on both sides, those of the pods one after the other and the lone ones beside them, and
// returns the results in the order of the rows.
func compareAll(ctx context.Context, n *node.Node, all []row, progress *node.Progress) (results []result, err error) {
	var sides []*side
	var remapping sync.Mutex
	defer func() {
		for _, s := range sides {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	for _, name := range []string{"runc", "kata"} {
		s, err := newSide(ctx, n, name, &remapping)
		if err != nil {
			return nil, err
		}
		sides = append(sides, s)
		if err := s.prepare(); err != nil {
			return nil, err
		}
		if err := progress.Step("start the pod of "+name, func() error { return s.startPod(ctx) }); err != nil {
			return nil, err
		}
	}
	results = make([]result, len(all))
	var lanes sync.WaitGroup
	for _, lone := range []bool{false, true} {
		lanes.Go(func() {
			for i, r := range all {
				if r.lone == lone && ctx.Err() == nil {
					_ = progress.Step(r.name, func() error { // the result says more than the line
						results[i] = compareRow(ctx, sides, r, i)
						return results[i].verdict()
					})
				}
			}
		})
	}
	lanes.Wait()
	return results, ctx.Err()
}

func compareRow(ctx context.Context, sides []*side, r row, number int) result {
	begin := time.Now()
	found := result{row: r, transcript: map[string]string{}, said: map[string]string{}}
	var mu sync.Mutex
	var both sync.WaitGroup
	for _, s := range sides {
		both.Go(func() {
			text, said, err := r.play(ctx, s, fmt.Sprintf("%s-%d", s.name, number))
			mu.Lock()
			defer mu.Unlock()
			found.transcript[s.name], found.said[s.name] = normal(text), said
			found.err = errors.Join(found.err, err)
		})
	}
	both.Wait()
	found.difference = difference(found.transcript["runc"], found.transcript["kata"])
	if !r.refuses && refusal(found.transcript["runc"]) {
		found.err = errors.Join(found.err, errors.New("runc refused the container, so that the row shows nothing"))
	}
	found.elapsed = time.Since(begin)
	return found
}

// refusal tells whether the container was refused.
func refusal(text string) bool {
	first, _, _ := strings.Cut(text, "\n")
	return first == "" || strings.HasPrefix(first, "create: ") || strings.HasPrefix(first, "start: ")
}

func (r result) verdict() error {
	if r.err != nil {
		return r.err
	}
	if len(r.difference) > 0 {
		return errDiffers
	}
	return nil
}

// difference lists the lines of two texts that are not in both, by their longest common subsequence.
func difference(one, other string) []string {
	a, b := strings.Split(one, "\n"), strings.Split(other, "\n")
	common := make([][]int, len(a)+1) // of the rests from each line on
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var lines []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			lines = append(lines, "-"+a[i])
			i++
		default:
			lines = append(lines, "+"+b[j])
			j++
		}
	}
	return lines
}

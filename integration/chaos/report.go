// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// result is what became of a cycle.
type result struct {
	plan                                plan
	missed, late                        bool  // there was nothing to strike at; the point never came
	why                                 error // it was missed
	wrongs                              []string
	took, removal, left, answer, states time.Duration
}

func (c *cycle) result(removal, left time.Duration) result {
	r := result{
		plan: c.plan, wrongs: c.wrongs, missed: c.hit.err != nil, why: c.hit.err, late: c.late,
		took: time.Since(c.began), removal: removal, left: left,
	}
	if c.hit.err != nil && !errors.Is(c.hit.err, errNoTarget) {
		r.wrongs = append(r.wrongs, fmt.Sprintf("the fault cannot be made: %v", c.hit.err))
	}
	for _, w := range c.waiters.all() {
		select {
		case <-w.done:
			if c.plan.fault.effect == deadly && w.at.After(c.hit.at) {
				r.answer = max(r.answer, w.at.Sub(c.hit.at))
			}
		default:
		}
	}
	r.states, _ = c.states.worst()
	return r
}

// verdict is one word.
func (r result) verdict() string {
	switch {
	case len(r.wrongs) > 0:
		return "WRONG"
	case r.missed:
		return "missed"
	case r.late:
		return "late"
	}
	return "ok"
}

// String is one line, and one more for each violation.
func (r result) String() string {
	line := fmt.Sprintf("%s  %-6s %5s  answers %-6s removal %-6s clean %-6s state %s", r.plan, r.verdict(),
		round(r.took), round(r.answer), round(r.removal), round(r.left), round(r.states))
	if r.missed && r.why != errNoTarget {
		line += fmt.Sprintf("  (%v)", r.why)
	}
	for _, wrong := range r.wrongs {
		line += "\n        " + strings.ReplaceAll(wrong, "\n", "\n        ")
	}
	return line
}

func round(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

// printTable shows how often each fault struck at each point, with ! where something was wrong.
func printTable(w io.Writer, results []result) {
	count, bad := map[[2]string]int{}, map[[2]string]bool{}
	for _, r := range results {
		if r.missed && len(r.wrongs) == 0 {
			continue
		}
		point := r.plan.point
		if r.late {
			point = "run/idle"
		}
		key := [2]string{r.plan.fault.name, point}
		count[key]++
		bad[key] = bad[key] || len(r.wrongs) > 0
	}
	all := faults()
	fmt.Fprintf(w, "\n%-20s", "point \\ fault")
	for i := range all {
		fmt.Fprintf(w, " %3c", 'a'+i)
	}
	fmt.Fprintln(w)
	for _, point := range points {
		fmt.Fprintf(w, "%-20s", point)
		for _, f := range all {
			key := [2]string{f.name, point}
			cell := "."
			if count[key] > 0 {
				cell = fmt.Sprint(count[key])
			}
			if bad[key] {
				cell += "!"
			}
			fmt.Fprintf(w, " %3s", cell)
		}
		fmt.Fprintln(w)
	}
	for i, f := range all {
		fmt.Fprintf(w, "%c %s  ", 'a'+i, f.name)
	}
	fmt.Fprintln(w)
}

// failures says which cycles to run again.
func failures(s settings, results []result) error {
	var errs []error
	for _, r := range results {
		if len(r.wrongs) > 0 {
			errs = append(errs, fmt.Errorf("cycle %d (%s at %s): %d violations; again: CHAOS_SEED=%d CHAOS_CYCLE=%d make chaos; log: %s/chaos-%d.log",
				r.plan.cycle, r.plan.fault.name, r.plan.point, len(r.wrongs), s.seed, r.plan.cycle, s.out, r.plan.cycle))
		}
	}
	return errors.Join(errs...)
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The same seed and number are the same cycle, and another seed is another order.
func TestDrawIsReproducible(t *testing.T) {
	differ := 0
	for i := range 200 {
		one, two, other := draw(7, i), draw(7, i), draw(8, i)
		if one.String() != two.String() || one.delay != two.delay || one.hold != two.hold {
			t.Errorf("cycle %d is once %v and once %v", i, one, two)
		}
		if one.String() != other.String() {
			differ++
		}
	}
	if differ < 100 {
		t.Errorf("another seed changes only %d of 200 cycles", differ)
	}
}

// Enough cycles see each fault at each point that it has, on a pod that has what it hits.
func TestDrawCoversEverything(t *testing.T) {
	all := faults()
	seen := map[string]bool{}
	for i := range len(all) * len(points) * rarely {
		p := draw(1, i)
		seen[p.fault.name+" "+p.point] = true
		if !slices.Contains(p.fault.points, p.point) {
			t.Errorf("%v strikes where it cannot", p)
		}
		if p.fault.needsPod && p.handler == loneHandler {
			t.Errorf("%v needs a pod", p)
		}
	}
	for _, f := range all {
		for _, point := range f.points {
			if !slices.Contains(points, point) {
				t.Errorf("%s strikes at %s, which is no point", f.name, point)
			}
			if !seen[f.name+" "+point] {
				t.Errorf("%s never strikes at %s", f.name, point)
			}
		}
	}
}

func TestDisorder(t *testing.T) {
	for name, c := range map[string]struct {
		names []string
		gaps  bool
		wrong bool
	}{
		"a whole life":           {names: []string{"create", "start", "start e", "exit e", "exit", "delete"}},
		"never started":          {names: []string{"create", "exit", "delete"}},
		"nothing":                {},
		"twice":                  {names: []string{"create", "start", "exit", "exit", "delete"}, wrong: true},
		"exit after delete":      {names: []string{"create", "start", "delete", "exit"}, wrong: true},
		"no exit":                {names: []string{"create", "start"}, wrong: true},
		"no exit, with gaps":     {names: []string{"create", "start"}, gaps: true},
		"exec ends unbegun":      {names: []string{"create", "start", "exit e", "exit"}, wrong: true},
		"delete without an exit": {names: []string{"create", "start", "delete"}, wrong: true},
	} {
		t.Run(name, func(t *testing.T) {
			var list []taskEvent
			for _, n := range c.names {
				list = append(list, taskEvent{name: n})
			}
			if got := disorder(list, c.gaps); (got != "") != c.wrong {
				t.Errorf("disorder says %q", got)
			}
		})
	}
}

// The table counts what struck, and marks what was wrong.
func TestTable(t *testing.T) {
	p := draw(1, 0)
	var out fmt.Stringer = result{plan: p, wrongs: []string{"left: a process"}}
	if text := out.String(); !containsAll(text, p.fault.name, "WRONG", "left: a process") {
		t.Errorf("the line of a cycle is %q", text)
	}
}

func containsAll(text string, words ...string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

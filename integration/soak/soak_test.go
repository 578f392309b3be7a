// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// climbing are n points from pod 1 on, that grow by slope per pod and jump by noise up and down.
func climbing(n int, slope, noise float64) []point {
	var points []point
	for i := range n {
		v := 100 + slope*float64(i+1)
		if i%2 == 0 {
			v += noise
		}
		points = append(points, point{i + 1, v})
	}
	return points
}

func TestFit(t *testing.T) {
	for _, c := range []struct{ slope, noise float64 }{{0, 0}, {1, 0}, {-0.5, 0}, {0.05, 3}} {
		if got := fit(climbing(50, c.slope, c.noise)).slope; math.Abs(got-c.slope) > 0.005 {
			t.Errorf("slope %g with noise %g was fitted as %g", c.slope, c.noise, got)
		}
	}
	if l := fit([]point{{7, 3}}); l.slope != 0 || l.start != 3 {
		t.Errorf("one point gave %+v", l)
	}
}

func TestJudge(t *testing.T) {
	r := rule{name: "x", limit: 0.05, crowd: 0.2}
	filling := climbing(50, 0, 1)
	for i := range 12 { // a pool that fills at first is no leak
		filling[i].value -= float64(12 - i)
	}
	for name, c := range map[string]struct {
		series, peaks []point
		want          bool
	}{
		"flat":               {climbing(50, 0, 2), nil, false},
		"filling at first":   {filling, nil, false},
		"one per pod":        {climbing(50, 1, 0), nil, true},
		"one per ten pods":   {climbing(50, 0.1, 2), nil, true},
		"shrinking":          {climbing(50, -1, 0), nil, false},
		"one per crowd's":    {climbing(50, 0, 0), []point{{70, 100}, {90, 120}}, true},
		"the first crowd's":  {climbing(50, 0, 0), []point{{70, 200}, {90, 200}, {110, 202}}, false},
		"one crowd is a few": {climbing(50, 0, 0), []point{{70, 500}}, false},
	} {
		if got := judge(r, c.series, c.peaks).grows(); got != c.want {
			t.Errorf("%s: grows is %v", name, got)
		}
	}
}

func TestParseGuest(t *testing.T) {
	const text = `/proc/meminfo:MemTotal:         231044 kB
/proc/meminfo:MemFree:          150000 kB
/proc/meminfo:MemAvailable:     180044 kB
/proc/sys/fs/file-nr:416	0	21530
/proc/loadavg:0.00 0.01 0.05 1/73 240
/proc/cgroups:#subsys_name	hierarchy	num_cgroups	enabled
/proc/cgroups:memory	0	9	1
`
	got, err := parseGuest(text)
	if err != nil || got[guestMemory] != 51000 || got[guestFiles] != 416 || got[guestTasks] != 73 || got[guestCgroups] != 9 || len(got) != 4 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := parseGuest(strings.Replace(text, "loadavg", "load", 1)); err == nil {
		t.Error("a guest that does not tell all was taken")
	}
}

func TestDrawingIsXML(t *testing.T) {
	series, peaks := samples{}, samples{}
	var all []verdict
	for _, r := range rules() {
		series[r.name], peaks[r.name] = climbing(50, 1, 3), []point{{70, 7}}
		all = append(all, judge(r, series[r.name], peaks[r.name]))
	}
	decoder := xml.NewDecoder(strings.NewReader(draw(all, series, peaks)))
	lines := 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			lines++
		}
	}
	if lines != len(rules()) {
		t.Errorf("%d lines for %d rules", lines, len(rules()))
	}
}

func TestRulesSayWhy(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rules() {
		if r.why == "" || r.limit <= 0 || r.crowd <= 0 || seen[r.name] {
			t.Errorf("rule %+v", r)
		}
		seen[r.name] = true
	}
}

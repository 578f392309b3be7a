// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"html"
	"strings"
)

// The drawing is a grid of charts, one for each rule; sizes are in pixels.
const (
	columns      = 3
	chartWidth   = 380
	chartHeight  = 150
	marginLeft   = 60
	marginTop    = 34
	marginBottom = 22
	marginRight  = 12
)

const style = `<style>
text { font: 11px system-ui, sans-serif; fill: #222 }
.title { font-weight: 600 } .axis { fill: #777 } .bad { fill: #b3261e }
.frame { fill: none; stroke: #ddd } .line { fill: none; stroke: #2a6fdb; stroke-width: 1.3 }
.fit { stroke: #d9a441; stroke-width: 1.5; stroke-dasharray: 4 3 } .peak { fill: #888 }
</style>
`

// draw makes the whole drawing.
func draw(all []verdict, series, peaks samples) string {
	rows := (len(all) + columns - 1) / columns
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d">`+"\n%s",
		columns*chartWidth, rows*chartHeight, style)
	for i, v := range all {
		fmt.Fprintf(&b, `<g transform="translate(%d,%d)">`+"\n", i%columns*chartWidth, i/columns*chartHeight)
		newChart(v, series[v.name], peaks[v.name]).draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// chart is one rule's: a line of samples, the fitted one, and a dot for each burst.
type chart struct {
	verdict
	series, peaks []point
	low, high     float64
	pods          int
}

func newChart(v verdict, series, peaks []point) chart {
	c := chart{verdict: v, series: series, peaks: peaks, pods: 1}
	for i, p := range append(append([]point{}, series...), peaks...) {
		if i == 0 {
			c.low, c.high = p.value, p.value
		}
		c.low, c.high, c.pods = min(c.low, p.value), max(c.high, p.value), max(c.pods, p.pods)
	}
	// A scale as wide as the growth that would be too much, or a flat line would look like a mountain range.
	if least := max(2, 2*v.limit*float64(c.pods)); c.high-c.low < least {
		c.high = c.low + least
	}
	return c
}

func (c chart) x(pods float64) float64 {
	return marginLeft + pods/float64(c.pods)*(chartWidth-marginLeft-marginRight)
}

func (c chart) y(value float64) float64 {
	const height = chartHeight - marginTop - marginBottom
	return marginTop + height*(1-(value-c.low)/(c.high-c.low))
}

func (c chart) draw(b *strings.Builder) {
	class := "axis"
	if c.grows() {
		class = "bad"
	}
	fmt.Fprintf(b, `<text class="title" x="%d" y="14">%s</text>`+"\n", marginLeft, html.EscapeString(c.name))
	fmt.Fprintf(b, `<text class="%s" x="%d" y="28">%s per 100 pods, limit %g</text>`+"\n",
		class, marginLeft, strings.TrimSpace(fmt.Sprintf("%+.2f %s", 100*c.line.slope, c.unit)), 100*c.limit)
	fmt.Fprintf(b, `<rect class="frame" x="%d" y="%d" width="%d" height="%d"/>`+"\n", marginLeft, marginTop,
		chartWidth-marginLeft-marginRight, chartHeight-marginTop-marginBottom)
	for _, v := range []float64{c.low, c.high} {
		fmt.Fprintf(b, `<text class="axis" x="%d" y="%.1f" text-anchor="end">%.0f</text>`+"\n", marginLeft-4, c.y(v)+4, v)
	}
	fmt.Fprintf(b, `<text class="axis" x="%d" y="%d" text-anchor="end">%d pods</text>`+"\n", chartWidth-marginRight, chartHeight-6, c.pods)
	b.WriteString(`<polyline class="line" points="`)
	for _, p := range c.series {
		fmt.Fprintf(b, "%.1f,%.1f ", c.x(float64(p.pods)), c.y(p.value))
	}
	b.WriteString("\"/>\n")
	if fitted := warm(c.series); len(fitted) > 1 {
		from, to := float64(fitted[0].pods), float64(fitted[len(fitted)-1].pods)
		fmt.Fprintf(b, `<line class="fit" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n",
			c.x(from), c.y(c.line.at(from)), c.x(to), c.y(c.line.at(to)))
	}
	for _, p := range c.peaks {
		fmt.Fprintf(b, `<circle class="peak" cx="%.1f" cy="%.1f" r="3"/>`+"\n", c.x(float64(p.pods)), c.y(p.value))
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// curve shows how something changes while pods are added, for both runtimes.
type curve struct {
	Title, Unit string
	ours, runc  []point
}

type point struct{ x, y float64 }

// add puts the points of one of the runtimes into the curve.
func (c *curve) add(ours bool, line []point) {
	if ours {
		c.ours = line
	} else {
		c.runc = line
	}
}

// Size of a curve's drawing, in the units of its SVG.
const (
	curveWidth  = 600
	curveHeight = 200
)

// Ours and Runc are the corners of the lines, as an SVG polyline has them.
func (c curve) Ours() string { return c.line(c.ours) }

// Runc is the line of runc.
func (c curve) Runc() string { return c.line(c.runc) }

// Top is the largest value of the curve, which the drawing reaches up to.
func (c curve) Top() float64 { return c.largest(func(p point) float64 { return p.y }) }

// Last is the number of pods at the right end.
func (c curve) Last() float64 { return c.largest(func(p point) float64 { return p.x }) }

func (c curve) largest(of func(point) float64) float64 {
	var top float64
	for _, line := range [][]point{c.ours, c.runc} {
		for _, p := range line {
			top = max(top, of(p))
		}
	}
	return top
}

func (c curve) line(points []point) string {
	top, last := c.Top(), c.Last()
	if top <= 0 || last <= 0 {
		return ""
	}
	var corners []string
	for _, p := range points {
		corners = append(corners, fmt.Sprintf("%.1f,%.1f", curveWidth*p.x/last, curveHeight*(1-p.y/top)))
	}
	return strings.Join(corners, " ")
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import "time"

// pace spaces what may come without end: burst at once, then one every so often.
type pace struct {
	burst, left int
	every       time.Duration
	filled      time.Time
}

func newPace(burst int, every time.Duration, now time.Time) *pace {
	return &pace{burst: burst, left: burst, every: every, filled: now}
}

// next takes one and returns how long to wait before the next one is asked for.
func (p *pace) next(now time.Time) time.Duration {
	if more := int(now.Sub(p.filled) / p.every); more > 0 {
		p.left = min(p.burst, p.left+more)
		p.filled = p.filled.Add(time.Duration(more) * p.every)
	}
	if p.left > 1 {
		p.left--
		return 0
	}
	p.left = 0
	return p.every
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	now := time.Now()
	p := newPace(64, 100*time.Millisecond, now)
	for range 63 {
		if d := p.next(now); d != 0 {
			t.Fatalf("one of the burst waits %s", d)
		}
	}
	began := now
	for range 100 { // one that never stops
		now = now.Add(p.next(now))
	}
	if took := now.Sub(began); took < 9*time.Second || took > 11*time.Second {
		t.Errorf("100 took %s", took)
	}
	now = now.Add(time.Hour)
	for range 63 {
		if d := p.next(now); d != 0 {
			t.Fatalf("one of a second burst waits %s", d)
		}
	}
	if p.next(now) == 0 {
		t.Error("an hour's rest gave more than a burst")
	}
}

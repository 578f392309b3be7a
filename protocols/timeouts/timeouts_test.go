// SPDX-License-Identifier: Apache-2.0

package timeouts

import (
	"testing"
	"time"
)

// Whatever an engine asks for has its answer within the engine's own deadline, also
// when a guest hangs and everything has to be taken back.
func TestTheSumsAreWithinTheEnginesDeadline(t *testing.T) {
	for _, c := range []struct {
		call  string
		sum   time.Duration
		limit time.Duration
	}{
		{"the start of a pod that fails", Start + Cause + UndoStart, Engine},
		{"the creation of a container that fails", Create + UndoCreate, Engine},
		{"the start of a process", Request + Stream, Engine},
		{"a signal", Signal, Engine},
		{"the stop of a pod", Stop, Engine},
		{"statistics", Query, Engine},
		{"the delete action", Delete, EngineDelete},
		{"the delete action of a shim that leaves late", ShimGrace, Delete},
		{"a guest's boot", Dial, Start},
		{"the kill of a VMM", StopVM, Release},
		{"the last words of a pod that did not start", StopVM, UndoStart},
	} {
		if c.sum > c.limit {
			t.Errorf("%s may take %v, more than %v", c.call, c.sum, c.limit)
		}
		t.Logf("%-45s %6v of %v", c.call, c.sum, c.limit)
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/containerd/errdefs"
)

// The drawings of doc.go are the transition tables.
func TestDrawingsMatchTheTables(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var drawn []string
	for _, m := range regexp.MustCompile(`(?m)^//\t(\w+ --\w+--> \w+)$`).FindAllSubmatch(text, -1) {
		drawn = append(drawn, string(m[1]))
	}
	var coded []string
	for _, x := range podTransitions() {
		coded = append(coded, fmt.Sprintf("%s --%s--> %s", x.from, x.on, x.to))
	}
	for _, x := range processTransitions() {
		coded = append(coded, fmt.Sprintf("%s --%s--> %s", x.from, x.on, x.to))
	}
	if !slices.Equal(drawn, coded) {
		t.Errorf("doc.go draws\n%q\nthe tables say\n%q", drawn, coded)
	}
}

// What is not drawn is refused.
func TestOtherEventsAreRefused(t *testing.T) {
	states := []State{StateCreated, StateStarting, StateRunning, StateStopping, StateStopped}
	for _, from := range states {
		for _, on := range []string{onStart, onUp, onFail, onStop, onDeath, onReleased} {
			drawn := slices.ContainsFunc(podTransitions(), func(x transition[State]) bool { return x.from == from && x.on == on })
			to, err := next(podTransitions(), "pod x", from, on)
			if drawn != (err == nil) || !drawn && (to != from || !errdefs.IsFailedPrecondition(err)) {
				t.Errorf("%s in %s leads to %s, %v", on, from, to, err)
			}
		}
	}
}

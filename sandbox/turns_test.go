// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"testing"
)

func TestTurns(t *testing.T) {
	two := make(turns, 2)
	first, err := two.enter(background)
	if err != nil {
		t.Fatal(err)
	}
	second, err := two.enter(background)
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(background)
	cancel()
	if _, err := two.enter(over); !errors.Is(err, context.Canceled) {
		t.Errorf("a third of two: %v", err)
	}
	first()
	third, err := two.enter(background)
	if err != nil {
		t.Fatal(err)
	}
	second()
	third()
	if len(two) != 0 {
		t.Errorf("%d turns are kept", len(two))
	}
}

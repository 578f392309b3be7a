// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/node"
)

// A suite that fails and one that hangs do not keep the next from running; the reasons name them, and what they left
// is removed.
func TestEachSuite(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	cleaned := 0
	b := &bench{progress: node.NewProgress(null), removeLeft: func(ctx context.Context) error {
		cleaned++
		return ctx.Err()
	}}
	went, err := b.each(t.Context(), []suite{
		{"fails", time.Minute, func(context.Context, *bench) error { return io.ErrUnexpectedEOF }},
		{"hangs", time.Millisecond, func(ctx context.Context, _ *bench) error { <-ctx.Done(); return ctx.Err() }},
		{"works", time.Minute, func(context.Context, *bench) error { return nil }},
	})
	if want := (outcomes{"fails": false, "hangs": false, "works": true}); !maps.Equal(went, want) {
		t.Errorf("the suites went %v, want %v", went, want)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the error lacks its cause: %v", err)
	}
	for _, want := range []string{"fails: unexpected EOF", "hangs: the suite did not end within 1ms"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
	if cleaned != 2 {
		t.Errorf("pods were removed %d times, want once for each suite that failed", cleaned)
	}
}

// A run that is interrupted begins no further suite.
func TestInterruptedRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := &bench{progress: node.NewProgress(os.Stdout)}
	went, err := b.each(ctx, []suite{
		{"first", time.Minute, func(context.Context, *bench) error { cancel(); return nil }},
		{"second", time.Minute, func(context.Context, *bench) error { t.Error("it ran"); return nil }},
	})
	if len(went) != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("the suites went %v, error %v", went, err)
	}
}

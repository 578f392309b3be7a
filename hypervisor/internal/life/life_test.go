// SPDX-License-Identifier: Apache-2.0

package life

import (
	"errors"
	"go/parser"
	"go/token"
	"regexp"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/integration/leaktest"
)

// TestDrawingIsTheTable compares the package comment with the code.
func TestDrawingIsTheTable(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "life.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[move]State{}
	arrow := regexp.MustCompile(`(\w+) --(\w+)--> (\w+)`)
	for _, m := range arrow.FindAllStringSubmatch(f.Doc.Text(), -1) {
		drawn[move{State(m[1]), event(m[2])}] = State(m[3])
	}
	table := transitions()
	for m, to := range table {
		if drawn[m] != to {
			t.Errorf("%s --%s--> %s is in the table, not in the drawing", m.from, m.on, to)
		}
	}
	for m, to := range drawn {
		if table[m] != to {
			t.Errorf("%s --%s--> %s is in the drawing, not in the table", m.from, m.on, to)
		}
	}
}

func TestOrdinaryLife(t *testing.T) {
	c := New()
	must(t, c.Begin())
	if err := c.MustRun("pause"); !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("MustRun while starting = %v", err)
	}
	must(t, c.Up())
	must(t, c.MustRun("pause"))
	cause := errors.New("the VMM died")
	c.End(hypervisor.Exit{Cause: cause})
	leaktest.Receive(t, c.Done())
	if e := c.Exit(); e.Cause != cause || e.At.IsZero() {
		t.Errorf("exit %+v, want the cause and a time", e)
	}
	c.End(hypervisor.Exit{Cause: errors.New("late")})
	if c.Exit().Cause != cause {
		t.Error("a second end replaced the first")
	}
}

func TestWrongState(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*Cycle) error
	}{
		{"up before begin", func(c *Cycle) error { return c.Up() }},
		{"begin twice", func(c *Cycle) error { _ = c.Begin(); return c.Begin() }},
		{"begin after stop", func(c *Cycle) error { c.Stopping(); return c.Begin() }},
		{"run before start", func(c *Cycle) error { return c.MustRun("pause") }},
		{"up after stop", func(c *Cycle) error { _ = c.Begin(); c.Stopping(); return c.Up() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.do(New()); !errors.Is(err, errdefs.ErrFailedPrecondition) {
				t.Errorf("error %v, want a failed precondition", err)
			}
		})
	}
}

func TestStopHasNoCause(t *testing.T) {
	c := New()
	if was := c.Stopping(); was != Created {
		t.Errorf("was %s", was)
	}
	leaktest.Receive(t, c.Done())
	if c.Exit().Cause != nil {
		t.Error("a stop before the start has a cause")
	}
	c = New()
	must(t, c.Begin())
	must(t, c.Up())
	c.Stopping()
	c.End(hypervisor.Exit{Cause: errors.New("signal: killed")})
	if c.Exit().Cause != nil {
		t.Error("a stop has a cause")
	}
	if c.Stopping() != Stopped {
		t.Error("stopping again does not say stopped")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestWrongStates calls everything in every state it is not for.
func TestWrongStates(t *testing.T) {
	calls := map[string]func(*Container) error{
		"create": func(c *Container) error { return c.Create(t.Context()) },
		"start":  func(c *Container) error { return c.Start(t.Context()) },
		"pause":  func(c *Container) error { return c.Pause(t.Context()) },
		"resume": func(c *Container) error { return c.Resume(t.Context()) },
		"update": func(c *Container) error { return c.Update(t.Context(), &specs.LinuxResources{}) },
		"exec": func(c *Container) error {
			return c.Exec(t.Context(), "e", &specs.Process{Args: []string{"true"}}, Tokens{})
		},
		"signal": func(c *Container) error { return c.SignalAll(t.Context(), unix.SIGTERM) },
	}
	for state, wrong := range map[State]string{
		Creating: "start pause resume update exec signal",
		Created:  "create pause resume",
		Running:  "create start resume",
		Paused:   "create start pause exec",
		Stopped:  "create start pause resume update exec signal",
	} {
		for name := range strings.FieldsSeq(wrong) {
			c := New(Config{ID: "c", Spec: &specs.Spec{Process: &specs.Process{}}}, &plainRuntime{fail: errors.New("called")}, nil)
			c.state = state
			if err := calls[name](c); !errors.Is(err, errdefs.ErrFailedPrecondition) || !strings.Contains(err.Error(), string(state)) {
				t.Errorf("%s while %s: %v", name, state, err)
			}
		}
	}
}

// TestPictureIsTrue compares the picture in doc.go with the transitions.
func TestPictureIsTrue(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	states := []State{Creating, Created, Running, Paused, Stopped}
	for _, s := range states {
		if !strings.Contains(string(doc), string(s)) {
			t.Errorf("the picture has no %s", s)
		}
	}
	const chain = "creating ──► created ──► running ◄──► paused"
	if !strings.Contains(string(doc), chain) {
		t.Fatalf("the picture has no %q", chain)
	}
	want := map[State][]State{Creating: {Created}, Created: {Running}, Running: {Paused}, Paused: {Running}}
	for _, from := range states {
		drawn := slices.Clone(want[from])
		if from != Stopped {
			drawn = append(drawn, Stopped)
		}
		if !slices.Equal(next(from), drawn) {
			t.Errorf("from %s to %v, drawn %v", from, next(from), drawn)
		}
	}
}

func TestStore(t *testing.T) {
	s := NewStore()
	if err := s.Reserve("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get("a"); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("a reserved name: %v", err)
	}
	if err := s.Reserve("a"); !errors.Is(err, errdefs.ErrAlreadyExists) {
		t.Errorf("a name twice: %v", err)
	}
	if len(s.All()) != 0 {
		t.Error("a reserved name is a container")
	}
	c := New(Config{ID: "a"}, nil, nil)
	s.Put(c)
	if got, err := s.Get("a"); err != nil || got != c || len(s.All()) != 1 {
		t.Error(got, err)
	}
	s.Drop("a")
	if err := s.Reserve("a"); err != nil {
		t.Error(err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// hookTo is a hook that writes its input to a file.
func hookTo(path string) specs.Hook {
	return specs.Hook{Path: "/bin/sh", Args: []string{"hook", "-c", "cat >" + path}}
}

// stateIn is what such a hook was told; nil when it did not run.
func stateIn(t *testing.T, path string) *specs.State {
	t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	state := &specs.State{}
	if err := errors.Join(err, json.Unmarshal(text, state)); err != nil {
		t.Fatal(err)
	}
	return state
}

// The hooks of the host run in their order and know the container; its pid is
// that whose network namespace is the pod's.
func TestHooks(t *testing.T) {
	f := startedFixture(t)
	dir := t.TempDir()
	o := containerOptions("c1", "sleep")
	o.Spec.Annotations = map[string]string{"a": "b"}
	o.Spec.Hooks = &specs.Hooks{
		//lint:ignore SA1019 Docker's network comes by it
		Prestart:      []specs.Hook{hookTo(dir + "/prestart")},
		CreateRuntime: []specs.Hook{hookTo(dir + "/createRuntime")},
		Poststart:     []specs.Hook{{Path: "/bin/false"}, hookTo(dir + "/poststart")},
		Poststop:      []specs.Hook{{Path: "/bin/false"}, hookTo(dir + "/poststop")},
	}
	want := func(name string, status specs.ContainerState, pid int) {
		t.Helper()
		got := stateIn(t, filepath.Join(dir, name))
		if got == nil {
			t.Fatalf("hook %s did not run", name)
		}
		if got.ID != "c1" || got.Bundle != o.Bundle || got.Status != status || got.Pid != pid || got.Annotations["a"] != "b" || got.Version != specs.Version {
			t.Errorf("hook %s was told %+v", name, got)
		}
	}
	c, err := f.pod.CreateContainer(background, o)
	if err != nil {
		t.Fatal(err)
	}
	want("prestart", specs.StateCreating, f.pod.PID())
	want("createRuntime", specs.StateCreating, f.pod.PID())
	if stateIn(t, dir+"/poststart") != nil {
		t.Error("poststart ran before the start")
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	want("poststart", specs.StateRunning, f.pod.PID())
	if err := c.Kill(background, "", 9, false); err != nil {
		t.Fatal(err)
	}
	wait(t, c.Init())
	if err := c.Delete(background); err != nil {
		t.Fatal(err)
	}
	want("poststop", specs.StateStopped, 0)
}

func TestHookThatFailsFailsTheCreation(t *testing.T) {
	f := startedFixture(t)
	second := 1
	for name, c := range map[string]struct {
		hook specs.Hook
		says string
	}{
		"fails":      {specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "echo no network; exit 3"}}, "no network"},
		"takes long": {specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 1000"}, Timeout: &second}, "longer than"},
		"is absent":  {specs.Hook{Path: "/nonexistent/hook"}, "/nonexistent/hook"},
		"relative":   {specs.Hook{Path: "hook"}, "absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			o := containerOptions("c1", "sleep")
			o.Spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{c.hook}}
			_, err := f.pod.CreateContainer(background, o)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got error %v, want %q in it", err, c.says)
			}
			_, err = f.pod.Container("c1")
			wantIs(t, "a container that was not created", err, errdefs.ErrNotFound)
		})
	}
}

// An environment of its own is the whole environment of a hook; its first
// argument is its name.
func TestHookEnvironment(t *testing.T) {
	f := startedFixture(t)
	out := filepath.Join(t.TempDir(), "out")
	o := containerOptions("c1", "sleep")
	o.Spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{
		Path: "/bin/sh", Args: []string{"me", "-c", fmt.Sprintf("echo $0 $A $HOME >%s", out)}, Env: []string{"A=1"},
	}}}
	if _, err := f.pod.CreateContainer(background, o); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(out); err != nil || string(text) != "me 1\n" {
		t.Errorf("the hook wrote %q, %v", text, err)
	}
}

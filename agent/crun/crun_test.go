// SPDX-License-Identifier: Apache-2.0

package crun

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	runc "github.com/containerd/go-runc"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/container"
)

// fake writes a program that stands for crun and leaves its arguments in a file.
func fake(t *testing.T, script string) *Runtime {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "crun")
	text := "#!/bin/sh\nlog=\nfor a; do [ \"$prev\" = --log ] && log=$a; prev=$a; done\necho \"$@\" > " + dir + "/args\n" + script
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return &Runtime{Command: path, Root: filepath.Join(dir, "root")}
}

func (r *Runtime) arguments(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(filepath.Dir(r.Command), "args"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestErrorsAreCrunsWords(t *testing.T) {
	r := fake(t, `echo '{"msg":"a warning","level":"warning"}' > $log; echo '{"msg":"no such file","level":"error"}' >> $log; exit 1`)
	dir := t.TempDir()
	err := r.Start(t.Context(), "c1", dir)
	if err == nil || err.Error() != "crun start of container c1: no such file" {
		t.Error(err)
	}
	var exit *runc.ExitError
	if errors.As(err, &exit) && exit.Status != 1 {
		t.Error(exit.Status)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	if args := r.arguments(t); !strings.Contains(args, "--cgroup-manager=cgroupfs") || !strings.Contains(args, "start c1") {
		t.Error(args)
	}
}

func TestPractise(t *testing.T) {
	r := fake(t, "nice > $(dirname $0)/nice; echo crun version 1.0; echo spec: 1.0.0")
	dir := t.TempDir()
	if err := r.Practise(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if args := r.arguments(t); !strings.Contains(args, "--version") {
		t.Error(args)
	}
	priority, err := os.ReadFile(filepath.Join(filepath.Dir(r.Command), "nice"))
	if err != nil || string(priority) != "19\n" {
		t.Errorf("its priority is %q, %v", priority, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	if err := fake(t, "exit 3").Practise(t.Context(), dir); err == nil {
		t.Error("a crun that fails is no error")
	}
	if mine, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err != nil || mine == 1 {
		t.Errorf("the test's own priority is %d, %v", mine, err)
	}
}

func TestErrorWithoutWords(t *testing.T) {
	if err := fake(t, "exit 3").Start(t.Context(), "c1", t.TempDir()); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Error(err)
	}
}

func TestDeleteOfNothing(t *testing.T) {
	r := fake(t, "exit 1")
	if err := r.Delete(t.Context(), "c1", t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := os.MkdirAll(filepath.Join(r.Root, "c1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(t.Context(), "c1", t.TempDir()); err == nil {
		t.Error("what is there was not deleted, and no error")
	}
}

func TestPIDFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	for text, want := range map[string]int{"42": 42, " 7\n": 7, "0": 0, "x": 0, "-3": 0} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if pid, err := readPID(path); pid != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, pid, err)
		}
	}
	if _, err := readPID(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file is a PID")
	}
}

func TestRuntimeIsTheContainers(t *testing.T) {
	var _ container.Runtime = (*Runtime)(nil)
}

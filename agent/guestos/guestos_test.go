// SPDX-License-Identifier: Apache-2.0

package guestos

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/agent/device"
)

func newSystem(t *testing.T, files map[string]string) System {
	t.Helper()
	hub, err := device.NewHub()
	if err != nil {
		t.Fatal(err)
	}
	s := System{Sys: t.TempDir(), Hub: hub}
	s.write(t, files)
	return s
}

func (s System) write(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(s.Sys, "devices/system", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

func (s System) online(t *testing.T, pattern string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Sys, "devices/system", pattern, "online"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if data, _ := os.ReadFile(f); len(data) > 0 && data[0] == '1' {
			n++
		}
	}
	return n
}

func TestOnline(t *testing.T) {
	s := newSystem(t, map[string]string{
		"cpu/cpu0/online": "1\n", "cpu/cpu1/online": "0\n", "cpu/cpu2/online": "0\n", "cpu/cpufreq/online": "0\n",
		"memory/memory7/online": "0\n", "memory/block_size_bytes": "8000000\n",
	})
	if err := s.OnlineCPUs(t.Context(), 1, false); err != nil || s.online(t, "cpu/cpu*") != 2 {
		t.Errorf("%d CPUs, %v", s.online(t, "cpu/cpu*"), err)
	}
	if err := s.OnlineCPUs(t.Context(), 0, false); err != nil || s.online(t, "cpu/cpu*") != 3 {
		t.Errorf("%d CPUs, %v", s.online(t, "cpu/cpu*"), err)
	}
	if err := s.OnlineMemory(t.Context(), 0); err != nil || s.online(t, "memory/memory*") != 1 {
		t.Errorf("%d blocks, %v", s.online(t, "memory/memory*"), err)
	}
	if n, err := s.MemoryBlock(); err != nil || n != 128<<20 {
		t.Errorf("%d, %v", n, err)
	}
	if err := s.Probe([]uint64{1}); !errors.Is(err, errdefs.ErrNotImplemented) {
		t.Error(err)
	}
	s.write(t, map[string]string{"memory/probe": ""})
	if err := s.Probe([]uint64{0x1000}); err != nil || !s.ProbeSupported() {
		t.Error(err)
	}
}

func TestCPUsThatComeLater(t *testing.T) {
	s := newSystem(t, nil)
	failed := make(chan error, 1)
	go func() { failed <- s.OnlineCPUs(context.Background(), 2, true) }()
	for _, name := range []string{"cpu/cpu1/online", "cpu/cpu2/online"} {
		s.write(t, map[string]string{name: "0\n"})
		s.Hub.Poke()
	}
	if err := <-failed; err != nil || s.online(t, "cpu/cpu*") != 2 {
		t.Errorf("%d CPUs, %v", s.online(t, "cpu/cpu*"), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.OnlineCPUs(ctx, 1, true); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestMemoryThatComesLater(t *testing.T) {
	s := newSystem(t, map[string]string{"memory/block_size_bytes": "8000000\n", "memory/memory0/online": "1\n", "memory/memory1/online": "1\n"})
	// The last block of what a guest booted with may be less than whole.
	if err := s.OnlineMemory(t.Context(), 200); err != nil {
		t.Error(err)
	}
	failed := make(chan error, 1)
	go func() { failed <- s.OnlineMemory(context.Background(), 456) }()
	for _, name := range []string{"memory/memory32/online", "memory/memory33/online"} {
		// Complete when it appears, as in sysfs.
		s.write(t, map[string]string{name + ".new": "0\n"})
		path := filepath.Join(s.memory(), "..", name)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		s.Hub.Poke()
	}
	if err := <-failed; err != nil || s.online(t, "memory/memory*") != 4 {
		t.Errorf("%d blocks, %v", s.online(t, "memory/memory*"), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.OnlineMemory(ctx, 513); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := newSystem(t, nil).OnlineMemory(t.Context(), 1); !errors.Is(err, errdefs.ErrNotImplemented) {
		t.Errorf("a kernel without blocks: %v", err)
	}
}

func TestVolumes(t *testing.T) {
	u, err := VolumeUsage(t.TempDir())
	if err != nil || u.Bytes.Total == 0 || u.Bytes.Total < u.Bytes.Used {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := VolumeUsage("/does/not/exist"); !errors.Is(err, errdefs.ErrNotFound) {
		t.Error(err)
	}
	table := filepath.Join(t.TempDir(), "mountinfo")
	text := "1 0 8:1 / /a rw - tmpfs first rw\n2 0 8:1 / /a rw shared:1 - ext4 /dev/vdb rw\nbad\n"
	if err := os.WriteFile(table, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if source, fstype, err := mountAt(table, "/a/"); err != nil || source != "/dev/vdb" || fstype != "ext4" {
		t.Errorf("%s %s %v", source, fstype, err)
	}
	if _, _, err := mountAt(table, "/b"); !errors.Is(err, errdefs.ErrNotFound) {
		t.Error(err)
	}
	if err := ResizeVolume("/proc", 0); !errors.Is(err, errdefs.ErrNotImplemented) {
		t.Error(err)
	}
}

func TestBadArguments(t *testing.T) {
	for name, err := range map[string]error{
		"time before 1970":      SetClock(-1, 0),
		"too many microseconds": SetClock(0, 1_000_000),
		"no seed":               Reseed(nil),
		"a long seed":           Reseed(make([]byte, maxSeed+1)),
		"module path":           LoadModule(t.Context(), nil, "../x", nil),
		"module option":         LoadModule(t.Context(), nil, "-r", nil),
	} {
		if !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := SwapOn(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("swap to nothing")
	}
}

type runner struct{}

func (runner) RunCommand(cmd *exec.Cmd) (int, error) {
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

func TestTools(t *testing.T) {
	if out, err := tool(t.Context(), runner{}, "echo", "x"); err != nil || out != "x\n" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := tool(t.Context(), runner{}, "sh", "-c", "echo why >&2; exit 3"); err == nil || err.Error() != "sh ended with 3: why" {
		t.Error(err)
	}
	if _, err := tool(t.Context(), runner{}, "no-such-program"); !errors.Is(err, errdefs.ErrNotImplemented) {
		t.Error(err)
	}
}

func TestInUse(t *testing.T) {
	table := filepath.Join(t.TempDir(), "swaps")
	if err := os.WriteFile(table, []byte("Filename Type\n/dev/vdb partition\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if !inUse(table, "/dev/vdb") || inUse(table, "/dev/vd") || inUse("/none", "x") {
		t.Error("wrong")
	}
}

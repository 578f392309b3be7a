// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/hypervisor/hypervisortest"
	"github.com/katapod/katapod/sandbox/config"
)

// guestFile finds a part of the guest where the build leaves it, or where
// KATAPOD_GUEST says.
func guestFile(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("KATAPOD_GUEST")
	if dir == "" {
		dir = filepath.Join("..", "out", "guest")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the guest is not built: %v; run make guest", err)
	}
	return path
}

// realPod is a pod with real drivers; nothing of it is on the host yet.
func realPod(t *testing.T, change ...func(*Options)) *Sandbox {
	t.Helper()
	needRoot(t)
	if testing.Short() {
		t.Skip("boots a VM, which takes seconds; run without -short")
	}
	c := config.Default()
	h := &c.Hypervisor
	h.Kernel, h.Image = guestFile(t, "vmlinux"), guestFile(t, "katapod.img")
	h.Path, h.VirtioFSDaemon, h.DefaultMemory = hypervisortest.QEMU(t), hypervisortest.Virtiofsd(t), 512
	state, err := os.MkdirTemp("", "kp") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = os.Remove(filepath.Join(state, "sbs"))
		_ = os.Remove(filepath.Join(state, "vm"))
		_ = os.RemoveAll(c.Runtime.FailuresDir())
		_ = os.Remove(state)
	})
	c.Runtime.StateDir = state
	o := Options{ID: filepath.Base(state), Namespace: "test", Config: c, Hostname: "pod-of-test"}
	for _, ch := range change {
		ch(&o)
	}
	drivers, err := DefaultDrivers(c)
	if err != nil {
		t.Fatal(err)
	}
	pod, err := New(o, drivers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopReal(t, pod) })
	return pod
}

// stopReal stops a real pod and checks that nothing of it is left.
func stopReal(t *testing.T, pod *Sandbox) {
	ctx, cancel := context.WithTimeout(background, 2*time.Minute)
	defer cancel()
	if err := pod.Stop(ctx); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(text), pod.dirs.state) {
		t.Errorf("mounts are left, or %v", err)
	}
	for _, dir := range []string{pod.dirs.state, pod.dirs.vm} {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
	if left, _ := filepath.Glob("/sys/fs/cgroup/*/kata_" + pod.ID() + "*"); len(left) > 0 {
		t.Errorf("cgroups are left: %v", left)
	}
}

// startReal starts a pod and tells what took how long.
func startReal(t *testing.T, pod *Sandbox) {
	t.Helper()
	ctx, cancel := context.WithTimeout(background, 3*time.Minute)
	defer cancel()
	if err := pod.Start(ctx); err != nil {
		var f *Failure
		if errors.As(err, &f) {
			t.Logf("console:\n%s\nVMM:\n%s", f.Console, f.VMMLog)
		}
		t.Fatal(err)
	}
	for _, s := range pod.Timeline() {
		t.Logf("%-14s %6.1f ms +%6.1f ms", s.Name, milliseconds(s.Start), milliseconds(s.Duration))
	}
}

// busyboxBundle is a bundle whose root file system is a static busybox.
func busyboxBundle(t *testing.T) string {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("busybox is not installed; the package is busybox-static")
	}
	if out, err := exec.Command("file", "-L", busybox).CombinedOutput(); err == nil && strings.Contains(string(out), "dynamically") {
		t.Skip("busybox is not static; the package is busybox-static")
	}
	bundle := t.TempDir()
	for _, dir := range []string{"bin", "proc", "dev", "sys", "tmp", "etc"} {
		if err := os.MkdirAll(filepath.Join(bundle, "rootfs", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"busybox", "sh", "cat", "ip", "ls"} {
		if err := os.WriteFile(filepath.Join(bundle, "rootfs", "bin", name), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return bundle
}

func realContainer(bundle, id string, args ...string) ContainerOptions {
	o := containerOptions(id, args...)
	o.Bundle, o.Rootfs, o.Stdin, o.Stderr = bundle, nil, false, true
	o.Spec.Process.Env = []string{"PATH=/bin"}
	o.Spec.Mounts = []specs.Mount{
		{Type: "proc", Source: "proc", Destination: "/proc"},
		{Type: "tmpfs", Source: "tmpfs", Destination: "/dev", Options: []string{"nosuid", "mode=755"}},
	}
	return o
}

// runReal runs a container to its end and returns its output.
func runReal(t *testing.T, pod *Sandbox, o ContainerOptions) (output string, code int) {
	t.Helper()
	c, err := pod.CreateContainer(background, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(c.Init().Stdout())
	if err != nil {
		t.Error(err)
	}
	errs, err := io.ReadAll(c.Init().Stderr())
	if err != nil {
		t.Error(err)
	}
	await(t, c.Init().Done(), "the container's end")
	code, _ = c.Init().ExitStatus()
	if err := c.Delete(background); err != nil {
		t.Error(err)
	}
	return string(out) + string(errs), code
}

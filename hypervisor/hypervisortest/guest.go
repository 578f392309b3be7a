// SPDX-License-Identifier: Apache-2.0

package hypervisortest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// KernelEnv names the variable that holds the path of the guest kernel.
const KernelEnv = "KATAPOD_GUEST_KERNEL"

// Kernel is the path of the project's guest kernel. The test is skipped, with
// the reason, where it is not built.
func Kernel(t testing.TB) string {
	t.Helper()
	path := os.Getenv(KernelEnv)
	if path == "" {
		path = filepath.Join(moduleRoot(t), "out", "guest", "vmlinux")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no guest kernel at %s (%s): run make guest-image", path, KernelEnv)
	}
	return path
}

// Guest builds the initrd that holds the testguest and returns its path in dir.
func Guest(t testing.TB, dir string) string {
	t.Helper()
	binary := GuestBinary(t, dir)
	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "initrd")
	if err := os.WriteFile(path, archive("init", program), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// GuestEnv names the variable that holds the path of a testguest built before,
// for machines that have no Go.
const GuestEnv = "KATAPOD_TEST_GUEST"

// GuestBinary builds the testguest, or copies that of [GuestEnv], and returns
// its path in dir.
func GuestBinary(t testing.TB, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "testguest")
	if built := os.Getenv(GuestEnv); built != "" {
		program, err := os.ReadFile(built)
		if err == nil {
			err = os.WriteFile(path, program, 0o700)
		}
		if err != nil {
			t.Fatalf("copy the test guest that %s names: %v", GuestEnv, err)
		}
		return path
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./hypervisor/hypervisortest/testguest")
	cmd.Dir = moduleRoot(t)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the test guest: %v\n%s", err, out)
	}
	return path
}

func moduleRoot(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("find the module's root: %v", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

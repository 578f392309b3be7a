// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"os"
	"os/exec"
	"testing"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/hypervisortest"
)

// qemuBinary finds QEMU, or skips the test with the reason.
func qemuBinary(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skip("QEMU is not installed: apt-get install qemu-system-x86")
	}
	return path
}

func TestVMBehaviour(t *testing.T) {
	binary, kernel, initrd := qemuBinary(t), hypervisortest.Kernel(t), hypervisortest.Guest(t, t.TempDir())
	hypervisortest.Run(t, hypervisortest.Driver{New: func(_ testing.TB, cfg hypervisor.Config) hypervisor.VM {
		cfg.Binary, cfg.Kernel, cfg.Initrd = binary, kernel, initrd
		return New(cfg)
	}})
}

// tempDir is a directory whose path leaves room for socket names.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

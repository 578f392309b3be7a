// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"os"
	"testing"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/hypervisortest"
)

func TestVMBehaviour(t *testing.T) {
	binary, kernel, initrd := hypervisortest.QEMU(t), hypervisortest.Kernel(t), hypervisortest.Guest(t, t.TempDir())
	hypervisortest.Run(t, hypervisortest.Driver{New: func(_ testing.TB, cfg hypervisor.Config) hypervisor.VM {
		cfg.Binary, cfg.Kernel, cfg.Initrd = binary, kernel, initrd
		return New(cfg)
	}, Share: func(t testing.TB, tag string) hypervisor.Share {
		s := share(t, tempDir(t))
		s.Tag = tag
		return s
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

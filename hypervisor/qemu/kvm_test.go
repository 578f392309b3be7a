// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"os"
	"testing"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/accel"
	"github.com/katapod/katapod/hypervisor/hypervisortest"
	"github.com/katapod/katapod/protocols/transport"
)

// TestVMOnKVM sees that a host with native KVM and vhost-vsock uses both, and
// that the guest answers; the other tests take whatever the host has.
func TestVMOnKVM(t *testing.T) {
	binary := hypervisortest.QEMU(t)
	if name, reason, err := accel.Choose(t.Context(), ""); err != nil || name != accel.KVM {
		t.Skipf("this host has no KVM to prove (make nested has): %s, %v", reason, err)
	}
	if _, err := os.Stat(vsockDevice); err != nil {
		t.Skipf("this host has no vhost-vsock (make nested has): %v", err)
	}
	vm := New(hypervisor.Config{
		ID: "kvm", Dir: tempDir(t), Binary: binary, Kernel: hypervisortest.Kernel(t),
		Initrd: hypervisortest.Guest(t, t.TempDir()), VCPUs: 1, MemoryMiB: 128,
	})
	t.Cleanup(func() { _ = vm.Stop(context.Background()) })
	if err := vm.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask(t, vm, "disks")
	if got := vm.Describe().Accelerator; got != accel.KVM {
		t.Errorf("the VM runs on %q", got)
	}
	if _, ok := vm.dialer.carrier.(*transport.Vsock); !ok {
		t.Errorf("the guest was reached over %T, want vsock", vm.dialer.carrier)
	}
}

// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"fmt"
	"testing"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/hypervisortest"
	"github.com/katapod/katapod/protocols/transport"
)

// BenchmarkVMBoot is the time from Start to an answer from inside, by the
// number of hot-plug slots.
func BenchmarkVMBoot(b *testing.B) {
	binary, kernel, initrd := hypervisortest.QEMU(b), hypervisortest.Kernel(b), hypervisortest.Guest(b, b.TempDir())
	for _, slots := range []int{0, maxLater} {
		b.Run(fmt.Sprintf("slots=%d", slots), func(b *testing.B) {
			for b.Loop() {
				vm := New(hypervisor.Config{
					ID: "bench", Dir: tempDir(b), Binary: binary, Kernel: kernel, Initrd: initrd,
					VCPUs: 1, MemoryMiB: 256, HotplugSlots: slots,
				})
				if err := vm.Start(b.Context()); err != nil {
					b.Fatal(err)
				}
				c, err := vm.Dialer().Dial(b.Context(), transport.PortAgent)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				c.Close()
				if err := vm.Stop(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

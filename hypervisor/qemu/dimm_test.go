// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/katapod/katapod/hypervisor"
)

// TestVMMemoryGrows plugs memory into a VM that runs, and into a held clone of one
// that was saved with less.
func TestVMMemoryGrows(t *testing.T) {
	for name, change := range map[string]func(*hypervisor.Config){
		"of its own":   func(*hypervisor.Config) {},
		"to be shared": func(c *hypervisor.Config) { c.LaterShares, c.FreePageReporting = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := toBeSaved(t)
			cfg.MaxMemoryMiB, cfg.MemorySlots = 1024, 4
			change(&cfg)
			saved := saveOne(t, cfg)
			cfg.ID, cfg.From, cfg.Held, cfg.Dir = "grows", &saved, true, tempDir(t)
			vm := New(cfg)
			t.Cleanup(func() {
				if err := vm.Stop(context.Background()); err != nil {
					t.Error(err)
				}
			})
			if err := vm.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := vm.PlugMemory(t.Context(), 256); err != nil {
				t.Fatal(err)
			}
			if err := vm.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			first := awaitMemory(t, vm, 450)
			if err := vm.PlugMemory(t.Context(), 512); err != nil {
				t.Fatal(err)
			}
			// All of the block but the descriptions of its pages is new.
			awaitMemory(t, vm, first+500)
			if has := vm.Describe().MemoryMiB; has != 1024 {
				t.Errorf("the VM says it has %d MiB", has)
			}
		})
	}
}

// awaitMemory waits until the guest's kernel counts as many MiB, and returns how
// many it does.
func awaitMemory(t *testing.T, vm *VM, mib int) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		var kib int
		lines := bufio.NewScanner(strings.NewReader(ask(t, vm, "cat /proc/meminfo")))
		for lines.Scan() {
			if n, _ := fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &kib); n == 1 {
				break
			}
		}
		if kib>>10 >= mib {
			return kib >> 10
		}
		if ctx.Err() != nil {
			t.Fatalf("the guest has %d MiB, want %d; console: %s", kib>>10, mib, console(vm))
		}
	}
}

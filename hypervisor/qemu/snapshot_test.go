// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/hypervisortest"
	"github.com/katapod/katapod/protocols/transport"
)

// TestVMClonesAreApart runs two clones at once.
func TestVMClonesAreApart(t *testing.T) {
	for name, change := range map[string]func(*hypervisor.Config){
		"alone":     func(*hypervisor.Config) {},
		"shared":    func(c *hypervisor.Config) { c.LaterShares, c.FreePageReporting = true, true },
		"two vCPUs": func(c *hypervisor.Config) { c.VCPUs, c.FreePageReporting = 2, true },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := toBeSaved(t)
			change(&cfg)
			saved := saveOne(t, cfg)
			before := digest(t, saved.Memory)
			clones := map[string]*VM{"a": cloneOf(t, cfg, saved, "a"), "b": cloneOf(t, cfg, saved, "b")}
			for name, vm := range clones {
				ask(t, vm, "write /who "+name)
			}
			for name, vm := range clones {
				if got := ask(t, vm, "cat /who"); got != name {
					t.Errorf("clone %s has %q in its memory", name, got)
				}
				eventually(t, vm, "nics", "02:00:00:00:00:0"+name)
			}
			if digest(t, saved.Memory) != before {
				t.Error("a clone changed the memory of the saved VM")
			}
		})
	}
}

// toBeSaved is a VM with a test guest.
func toBeSaved(t testing.TB) hypervisor.Config {
	t.Helper()
	return hypervisor.Config{
		ID: "saved", Binary: hypervisortest.QEMU(t), Kernel: hypervisortest.Kernel(t), Initrd: hypervisortest.Guest(t, t.TempDir()),
		VCPUs: 1, MemoryMiB: 256, HotplugSlots: 4,
	}
}

// saveOne boots a VM, waits for its guest, and saves it.
func saveOne(t testing.TB, cfg hypervisor.Config) hypervisor.Snapshot {
	t.Helper()
	dir := t.TempDir()
	saved := hypervisor.Snapshot{Memory: filepath.Join(dir, "memory"), State: filepath.Join(dir, "state")}
	cfg.SaveTo, cfg.Dir = &saved, tempDir(t)
	vm := New(cfg)
	if err := vm.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := answers(t.Context(), vm); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(vm.Dialer().Close(), vm.Save(t.Context()), vm.Stop(t.Context())); err != nil {
		t.Fatal(err)
	}
	return saved
}

// answers waits until the guest's agent port answers.
func answers(ctx context.Context, vm *VM) error {
	c, err := vm.Dialer().Dial(ctx, transport.PortAgent)
	if err != nil {
		return err
	}
	return c.Close()
}

// cloneOf starts a clone with a network device, which is plugged before it runs.
func cloneOf(t *testing.T, cfg hypervisor.Config, saved hypervisor.Snapshot, name string) *VM {
	t.Helper()
	cfg.ID, cfg.From, cfg.Held, cfg.Dir = name, &saved, true, tempDir(t)
	vm := New(cfg)
	t.Cleanup(func() {
		if err := vm.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := vm.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	nic := hypervisor.NIC{ID: "eth0", MAC: "02:00:00:00:00:0" + name, TapFDs: []int{hypervisortest.TAP(t)}}
	if _, err := vm.PlugNIC(t.Context(), nic); err != nil {
		t.Fatal(err)
	}
	if err := vm.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	return vm
}

func digest(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

func TestWhatCannotBeSavedOrCloned(t *testing.T) {
	dir := t.TempDir()
	files := &hypervisor.Snapshot{Memory: filepath.Join(dir, "memory"), State: filepath.Join(dir, "state")}
	whole := hypervisor.Config{MemoryMiB: 1, From: files}
	if err := checkSaved(whole); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("a snapshot whose files are gone: %v", err)
	}
	file(t, dir, "memory", make([]byte, 1<<20))
	file(t, dir, "state", nil)
	if err := errors.Join(checkSnapshot(whole), checkSaved(whole)); err != nil {
		t.Errorf("a whole snapshot: %v", err)
	}
	for name, change := range map[string]func(*hypervisor.Config){
		"other size":      func(c *hypervisor.Config) { c.MemoryMiB = 2 },
		"clone and saved": func(c *hypervisor.Config) { c.SaveTo = files },
		"with a disk":     func(c *hypervisor.Config) { c.Disks = make([]hypervisor.Disk, 1) },
		"with a NIC":      func(c *hypervisor.Config) { c.NICs = make([]hypervisor.NIC, 1) },
		"with a share":    func(c *hypervisor.Config) { c.Shares = make([]hypervisor.Share, 1) },
		"saved with one": func(c *hypervisor.Config) {
			c.From, c.SaveTo, c.Shares = nil, files, make([]hypervisor.Share, 1)
		},
	} {
		cfg := whole
		change(&cfg)
		if err := errors.Join(checkSnapshot(cfg), checkSaved(cfg)); !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestVMCorruptState sees why a clone failed.
func TestVMCorruptState(t *testing.T) {
	cfg := toBeSaved(t)
	saved := saveOne(t, cfg)
	if err := os.WriteFile(saved.State, []byte("no state"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.From, cfg.Dir = &saved, tempDir(t)
	vm := New(cfg)
	err := vm.Start(t.Context())
	if err == nil {
		_ = vm.Stop(t.Context())
		t.Fatal("a clone of rubbish runs")
	}
	if !errors.Is(err, hypervisor.ErrSnapshot) || !strings.Contains(err.Error(), "migration") {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(cfg.Dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// BenchmarkVMClone is the time from Start to an answer from inside.
func BenchmarkVMClone(b *testing.B) {
	for name, change := range map[string]func(*hypervisor.Config){
		"private": func(*hypervisor.Config) {},
		"copy":    func(c *hypervisor.Config) { c.LaterShares, c.FreePageReporting = true, true },
	} {
		b.Run(name, func(b *testing.B) {
			cfg := toBeSaved(b)
			change(&cfg)
			saved := saveOne(b, cfg)
			cfg.From = &saved
			for b.Loop() {
				cfg.Dir = tempDir(b)
				vm := New(cfg)
				if err := errors.Join(vm.Start(b.Context()), answers(b.Context(), vm)); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := vm.Stop(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

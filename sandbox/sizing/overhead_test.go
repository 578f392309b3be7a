// SPDX-License-Identifier: Apache-2.0

package sizing

import "testing"

// TestMeasurements: the file that make overhead writes is whole, and what limits are made from.
func TestMeasurements(t *testing.T) {
	all, err := Measurements()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range all {
		if m.VMM == "" || m.Accelerator == "" || m.VCPUs < 1 || m.MemoryMiB < 128 || m.IdleMilliCPU < 0 {
			t.Errorf("a measurement is not whole: %+v", m)
		}
		for what, part := range map[string]int64{"shim": m.Shim, "VMM": m.Process, "kernel": m.Kernel} {
			if part < mib/4 || part > 1<<30 {
				t.Errorf("the %s of %s took %d bytes, which cannot be", what, m.VMM, part)
			}
		}
		if seen[m.VMM+m.Accelerator] {
			t.Errorf("%s with %s was measured twice", m.VMM, m.Accelerator)
		}
		seen[m.VMM+m.Accelerator] = true
		size := Size{VCPUs: m.VCPUs, MemoryMiB: m.MemoryMiB}
		if allowed := Overhead(size, m.VMM); allowed < m.Total()*headroom || allowed > 3*m.Total() {
			t.Errorf("%s: %d MiB are allowed where %d were measured", m.VMM, allowed/mib, m.Total()/mib)
		}
	}
	if !seen["qemutcg"] {
		t.Error("QEMU was not measured under translation; make overhead does")
	}
}

func TestPodFixedCoversItsParts(t *testing.T) {
	b := Bounds{DefaultVCPUs: 1, DefaultMemoryMiB: 256}
	small, large := PodFixed(b, "qemu", 512), PodFixed(b, "qemu", 32<<10)
	if large.MemoryMiB-small.MemoryMiB < (32<<10-512)/perMemory-int(fixedStep/mib) {
		t.Errorf("podFixed is %d MiB for a guest of 512 MiB and %d for one of 32 GiB", small.MemoryMiB, large.MemoryMiB)
	}
	b.DefaultMemoryMiB = 2048
	if more := PodFixed(b, "qemu", 512); more.MemoryMiB != small.MemoryMiB+2048-256 {
		t.Errorf("podFixed is %d MiB with 2048 MiB for the guest, %d with 256", more.MemoryMiB, small.MemoryMiB)
	}
	if small.MilliCPU < fixedCPUStep {
		t.Errorf("podFixed has %d m of CPU", small.MilliCPU)
	}
}

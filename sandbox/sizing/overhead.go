// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/katapod/katapod/hypervisor"
)

// Measured is what a busy pod took on a host beside its guest's memory. `make
// overhead` measures it and writes overhead.json; nobody edits that.
type Measured struct {
	// VMM and Accelerator are those of hypervisor.Description.
	VMM         string `json:"vmm"`
	Accelerator string `json:"accelerator"`
	// VCPUs and MemoryMiB are the size of the pod's VM.
	VCPUs     int `json:"vcpus"`
	MemoryMiB int `json:"memory_mib"`
	// Shim, Process and Helpers are, in bytes, the proportional set size of the shim,
	// of the VMM without the guest's memory, and of virtiofsd. Kernel is what the host's
	// kernel keeps for them: page tables, and all else that it charges to the pod's
	// cgroup where it says so.
	Shim    int64 `json:"shim"`
	Process int64 `json:"vmm_process"`
	Helpers int64 `json:"helpers"`
	Kernel  int64 `json:"kernel"`
	// IdleMilliCPU is the CPU time that the pod took when nothing ran in it, in
	// thousandths of a CPU.
	IdleMilliCPU float64 `json:"idle_milli_cpu"`
}

// Total is the measured memory in bytes.
func (m Measured) Total() int64 { return m.Shim + m.Process + m.Helpers + m.Kernel }

//go:embed overhead.json
var measured []byte

// Measurements are those that this package was built with, one per VMM and
// accelerator.
func Measurements() ([]Measured, error) {
	var all []Measured
	if err := json.Unmarshal(measured, &all); err != nil {
		return nil, fmt.Errorf("read the measured overhead: %w", err)
	}
	return all, nil
}

// overhead is what one VMM takes beside its guest's memory.
type overhead struct {
	// fixed and perVCPU are in bytes; perMemory is a divisor of the guest's
	// memory: page tables, and the bitmaps and slots that VMMs keep per page.
	fixed, perVCPU, perMemory int64
}

const (
	// headroom is what is allowed for each measured byte: one measurement does not see
	// the worst moment of every pod, such as a shared directory of a million files. A
	// limit that is too high costs nothing as long as nobody uses it, one that is too
	// low kills the pod.
	headroom = 2
	// fixedStep rounds the fixed part up, so that it does not change with each
	// measurement.
	fixedStep = 32 * mib
	// perVCPU is mostly for the translator's tables of addresses, which grow with what
	// a processor touches.
	perVCPU   = 24 * mib
	perMemory = 128
)

// overheadOf is that of the hungriest accelerator that was measured for the VMM.
// One that was never measured counts as the hungriest of all, and a quarter more.
func overheadOf(vmm string) overhead {
	all, err := Measurements()
	if err != nil {
		all = nil // a test sees that the file is good
	}
	var known, any int64
	for _, m := range all {
		any = max(any, m.Total())
		if m.VMM == vmm {
			known = max(known, m.Total())
		}
	}
	if known == 0 {
		known = any * 5 / 4
	}
	return overhead{fixed: roundUp(known*headroom, fixedStep), perVCPU: perVCPU, perMemory: perMemory}
}

func roundUp(n, step int64) int64 { return (n + step - 1) / step * step }

// Overhead returns the memory in bytes that a VM of that size may take on the
// host beside its guest's memory: the VMM, its helpers, the shim and page
// tables. The name of the VMM is that of hypervisor.Description.
func Overhead(size Size, vmm string) (memoryBytes int64) {
	o := overheadOf(vmm)
	return o.fixed + int64(size.VCPUs)*o.perVCPU + int64(size.MemoryMiB)*mib/o.perMemory
}

// Fixed is a RuntimeClass's overhead.podFixed.
type Fixed struct {
	MemoryMiB int
	MilliCPU  int
}

// fixedCPUStep rounds podFixed.cpu up, in thousandths of a CPU.
const fixedCPUStep = 50

// PodFixed is what kubelet has to add to the limits of a pod's containers, so that the
// pod's cgroup allows what [HostLimits] does: the memory that the guest has for
// itself, the rounding of theirs up to blocks, and the overhead of a VM with one vCPU
// more than the default and a guest of up to upToMiB.
func PodFixed(c Bounds, vmm string, upToMiB int) Fixed {
	size := Size{VCPUs: c.DefaultVCPUs + 1, MemoryMiB: upToMiB}
	bytes := int64(c.DefaultMemoryMiB+hypervisor.MemoryBlockMiB)*mib + Overhead(size, vmm)
	var idle float64
	all, err := Measurements()
	if err == nil {
		for _, m := range all {
			idle = max(idle, m.IdleMilliCPU)
		}
	}
	return Fixed{MemoryMiB: int(roundUp(bytes, fixedStep) / mib), MilliCPU: int(roundUp(int64(idle)+1, fixedCPUStep))}
}

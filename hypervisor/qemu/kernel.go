// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"strings"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/accel"
)

// kernelParams is the guest kernel's command line. The caller's parameters come
// last, and so win where the kernel takes the last of a kind.
func kernelParams(cfg hypervisor.Config, accelerator string) string {
	p := []string{"console=ttyS0", "panic=-1", "cgroup_no_v1=all",
		// Links that drivers would make unasked; no pod has a use for them.
		"dummy.numdummies=0", "ifb.numifbs=0",
		// A thread that wakes up each half second to see whether memory should be put
		// together ahead of need. It still is where somebody needs it.
		"sysctl.vm.compaction_proactiveness=0"}
	if !cfg.Debug {
		p = append(p, "quiet")
	}
	if accelerator == accel.TCG {
		// QEMU 7.2 leaves rubbish in the flags register after CMPXCHG16B. An
		// interrupt that comes before the next arithmetic instruction saves it,
		// and the return from that interrupt faults: on a busy host some boots
		// in a hundred die in the kernel's memory allocator, or without a word.
		// The kernel does without the instruction when told to. The processor
		// keeps the feature (no "-cpu max,-cx16"), since the C library of
		// distributions built for x86-64-v2 refuses to start without it.
		p = append(p, "clearcpuid=cx16")
		// The kernel gives the timer's interrupt a fixed time to come through
		// the I/O APIC, and panics without it ("IO-APIC + timer doesn't work!").
		// On a busy host the time passes without the guest having run. Under KVM
		// the kernel leaves the check out by itself.
		p = append(p, "no_timer_check")
		// The agent keeps crun at fixed addresses, whose translation lasts.
		p = append(p, "agent.emulated")
	}
	if accelerator == accel.TCG && mayShare(cfg) {
		// A file system daemon writes file contents into guest memory behind
		// the translator's back. A page that held code before keeps that code's
		// translation, and programs read into it crash: with QEMU 10 most, with
		// 7.2, which also compares virtual addresses, hardly any. A page that
		// the guest clears first has none.
		p = append(p, "init_on_alloc=1")
	}
	if accelerator == accel.TCG && cfg.VCPUs == 1 && cfg.MaxVCPUs <= 1 {
		// The kernel measures the local APIC's timer in a busy loop of 130 ms
		// that is worth nothing under translation. The HPET ticks instead,
		// which is as good for one CPU; several would share it.
		p = append(p, "nolapic_timer")
		// Locks are 9000 places in the kernel's code that one CPU needs not
		// have. Rewriting them takes longer than having them.
		p = append(p, "noreplace-smp")
	}
	if grows(cfg) {
		// Memory that is plugged is used at once, and holds the descriptions of its
		// own pages, so that the size of what is plugged is not bounded by what
		// the guest has free.
		p = append(p, "memhp_default_state=online", "memory_hotplug.memmap_on_memory=1")
	}
	if cfg.FreePageReporting {
		// By itself the kernel reports free memory in whole pieces of 2 MiB. A guest
		// that has used and freed 1.5 GiB has 66 MiB in smaller ones, which stayed
		// with it for good; in pieces below 128 KiB it has a few.
		p = append(p, "page_reporting.page_reporting_order=5")
		// Free pages that a processor keeps at hand are not reported. By itself the
		// kernel lets it keep more the more is freed, 90 MiB after 1.5 GiB, and takes
		// half a minute to take them away (Documentation/admin-guide/sysctl/vm.rst).
		p = append(p, "sysctl.vm.percpu_pagelist_high_fraction=1000")
	}
	if cfg.Image != "" {
		p = append(p, "root=/dev/vda", "rootfstype="+cfg.ImageType, "ro", "init=/sbin/init")
	}
	return strings.Join(append(p, cfg.KernelParams...), " ")
}

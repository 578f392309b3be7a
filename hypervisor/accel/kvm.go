// SPDX-License-Identifier: Apache-2.0

package accel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of linux/kvm.h for x86-64: _IO, _IOW, _IOR and _IOWR of 0xAE.
const (
	kvmCreateVM            = 0xae01
	kvmGetVCPUMmapSize     = 0xae04
	kvmGetSupportedCPUID   = 0xc008ae05
	kvmCreateVCPU          = 0xae41
	kvmSetUserMemoryRegion = 0x4020ae46
	kvmRun                 = 0xae80
	kvmSetRegs             = 0x4090ae82
	kvmGetSregs            = 0x8138ae83
	kvmSetSregs            = 0x4138ae84
	kvmSetCPUID2           = 0x4008ae90
	kvmGetStatsFD          = 0xaece
)

// Places in struct kvm_run, and KVM_EXIT_IO.
const (
	immediateExitAt = 1
	exitReasonAt    = 8
	exitIO          = 2
)

// memoryRegion is struct kvm_userspace_memory_region.
type memoryRegion struct {
	Slot, Flags          uint32
	Guest, Size, Address uint64
}

// registers is struct kvm_regs.
type registers struct {
	RAX, RBX, RCX, RDX, RSI, RDI, RSP, RBP uint64
	R8, R9, R10, R11, R12, R13, R14, R15   uint64
	RIP, RFLAGS                            uint64
}

// segment is struct kvm_segment.
type segment struct {
	Base                            uint64
	Limit                           uint32
	Selector                        uint16
	Type, Present, DPL, DB, S, L, G uint8
	Available, Unusable, _          uint8
}

// descriptorTable is struct kvm_dtable.
type descriptorTable struct {
	Base  uint64
	Limit uint16
	_     [3]uint16
}

// specialRegisters is struct kvm_sregs.
type specialRegisters struct {
	CS, DS, ES, FS, GS, SS, TR, LDT         segment
	GDT, IDT                                descriptorTable
	CR0, CR2, CR3, CR4, CR8, EFER, APICBase uint64
	Interrupts                              [4]uint64
}

// longMode sets what 64-bit mode at privilege level 0 needs, with page tables
// at the physical address tables (AMD64 Architecture Programmer's Manual,
// volume 2, chapter 14; Intel's volume 3, section 26.3, for the task register).
func (s *specialRegisters) longMode(tables uint64) {
	const (
		protection, numericError, writeProtect, paging = 1, 1 << 5, 1 << 16, 1 << 31
		physicalAddressExtension                       = 1 << 5
		longModeEnable, longModeActive                 = 1 << 8, 1 << 10
		codeType, dataType, busyTSS                    = 11, 3, 11
	)
	s.CS = segment{Limit: 0xffffffff, Selector: 8, Type: codeType, Present: 1, S: 1, L: 1, G: 1}
	data := segment{Limit: 0xffffffff, Selector: 16, Type: dataType, Present: 1, DB: 1, S: 1, G: 1}
	s.DS, s.ES, s.FS, s.GS, s.SS = data, data, data, data, data
	s.TR = segment{Limit: 0x67, Selector: 24, Type: busyTSS, Present: 1}
	s.LDT = segment{Unusable: 1}
	s.CR0 = protection | numericError | writeProtect | paging
	s.CR3, s.CR4 = tables, physicalAddressExtension
	s.EFER = longModeEnable | longModeActive
}

// maxCPUID is more entries than any kernel reports.
const maxCPUID = 256

// cpuidTable is struct kvm_cpuid2; its entries only pass through.
type cpuidTable struct {
	Count, _ uint32
	Entries  [maxCPUID][10]uint32
}

func ioctl(fd int, request, argument uintptr) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, argument)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// call is an ioctl whose argument is a struct.
func call[T any](fd int, request uintptr, argument *T) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(argument)))
	if errno != 0 {
		return errno
	}
	return nil
}

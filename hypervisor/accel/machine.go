// SPDX-License-Identifier: Apache-2.0

package accel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where things are in the guest's physical memory. Its first 2 MiB are mapped
// at the virtual address base as well, where kernels live: a software KVM may
// treat the two halves of the address space differently.
const (
	memorySize = 2 << 20
	pml4       = 0x1000
	pdpt       = 0x2000
	pd         = 0x3000
	code       = 0x4000
	base       = 0xffffffff80000000
)

const (
	turns = 500
	// loopInstructions is how many instructions loop runs in all: three before
	// the turns, two in each, one after.
	loopInstructions = 3 + 2*turns + 1
)

// loop is the guest's code. It ends in OUT, an exit to user space under any
// KVM; HLT may stay in the kernel.
func loop() []byte {
	b := []byte{0xb9}                              // mov ecx, turns
	b = binary.LittleEndian.AppendUint32(b, turns) //
	b = append(b,
		0xb0, 0x2a, // mov al, 42
		0x66, 0xba, 0x80, 0x00, // mov dx, 0x80
		0xff, 0xc9, // again: dec ecx
		0x75, 0xfc, // jnz again
		0xee) // out dx, al
	return b
}

// machine is a VM of one vCPU without interrupt controller or devices.
type machine struct {
	kvm, vm, vcpu, stats int
	memory, shared       []byte
	stat                 int64 // where in stats the counter is
}

// newMachine makes the VM. Its errors say nothing about KVM's nature.
func newMachine(device string) (_ *machine, err error) {
	m := &machine{kvm: -1, vm: -1, vcpu: -1, stats: -1}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if m.kvm, err = unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("open %s: %w", device, err)
	}
	if m.vm, err = ioctl(m.kvm, kvmCreateVM, 0); err != nil {
		return nil, fmt.Errorf("create a VM: %w", err)
	}
	if m.memory, err = unix.Mmap(-1, 0, memorySize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS); err != nil {
		return nil, fmt.Errorf("allocate the VM's memory: %w", err)
	}
	return m, nil
}

// load makes the vCPU ready at the first instruction of the loop.
func (m *machine) load() error {
	region := memoryRegion{Size: memorySize, Address: uint64(uintptr(unsafe.Pointer(&m.memory[0])))}
	if err := call(m.vm, kvmSetUserMemoryRegion, &region); err != nil {
		return fmt.Errorf("giving the VM memory failed: %w", err)
	}
	var err error
	if m.vcpu, err = ioctl(m.vm, kvmCreateVCPU, 0); err != nil {
		return fmt.Errorf("making a vCPU failed: %w", err)
	}
	size, err := ioctl(m.kvm, kvmGetVCPUMmapSize, 0)
	if err != nil {
		return fmt.Errorf("asking for the vCPU's shared area failed: %w", err)
	}
	if m.shared, err = unix.Mmap(m.vcpu, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("mapping the vCPU's shared area failed: %w", err)
	}
	m.writeMemory()
	return m.setRegisters()
}

// writeMemory maps 2 MiB at virtual addresses 0 and base, and writes the loop.
func (m *machine) writeMemory() {
	const present, writable, large = 1, 2, 1 << 7
	put := func(at, index, value int) {
		binary.LittleEndian.PutUint64(m.memory[at+8*index:], uint64(value))
	}
	put(pml4, 0, pdpt|present|writable)
	put(pml4, 511, pdpt|present|writable)
	put(pdpt, 0, pd|present|writable)
	put(pdpt, 510, pd|present|writable)
	put(pd, 0, large|present|writable)
	copy(m.memory[code:], loop())
}

// setRegisters puts the vCPU into 64-bit mode at privilege level 0.
func (m *machine) setRegisters() error {
	cpuid := cpuidTable{Count: maxCPUID}
	if err := call(m.kvm, kvmGetSupportedCPUID, &cpuid); err != nil {
		return fmt.Errorf("asking for the vCPU's features failed: %w", err)
	}
	if err := call(m.vcpu, kvmSetCPUID2, &cpuid); err != nil {
		return fmt.Errorf("setting the vCPU's features failed: %w", err)
	}
	var s specialRegisters
	if err := call(m.vcpu, kvmGetSregs, &s); err != nil {
		return fmt.Errorf("reading the vCPU's registers failed: %w", err)
	}
	s.longMode(pml4)
	if err := call(m.vcpu, kvmSetSregs, &s); err != nil {
		return fmt.Errorf("setting 64-bit mode failed: %w", err)
	}
	const alwaysSet = 2 // RFLAGS bit 1
	r := registers{RIP: base + code, RSP: base + memorySize, RFLAGS: alwaysSet}
	if err := call(m.vcpu, kvmSetRegs, &r); err != nil {
		return fmt.Errorf("setting the vCPU's registers failed: %w", err)
	}
	return nil
}

// run runs the loop until its OUT. The end of ctx breaks it off.
func (m *machine) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stop := context.AfterFunc(ctx, m.kicker(unix.Gettid()))
	defer stop()
	for {
		_, err := ioctl(m.vcpu, kvmRun, 0)
		if ctx.Err() != nil {
			return errors.New("the probe's loop did not end in time")
		}
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return fmt.Errorf("running the vCPU failed: %w", err)
		}
		break
	}
	if reason := binary.NativeEndian.Uint32(m.shared[exitReasonAt:]); reason != exitIO {
		return fmt.Errorf("the vCPU stopped for KVM's exit reason %d before the loop's end", reason)
	}
	return nil
}

// kicker returns a function that makes a running vCPU leave the kernel: the
// flag stops the next entry, the signal the present one. SIGURG is the signal
// that the Go runtime sends itself and takes as a no-op.
func (m *machine) kicker(thread int) func() {
	pid := unix.Getpid()
	return func() {
		m.shared[immediateExitAt] = 1
		_ = unix.Tgkill(pid, thread, unix.SIGURG) // The thread waits for us.
	}
}

// close releases everything; a VM that is let go needs no answer.
func (m *machine) close() {
	for _, area := range [][]byte{m.shared, m.memory} {
		if area != nil {
			_ = unix.Munmap(area)
		}
	}
	for _, fd := range []int{m.stats, m.vcpu, m.vm, m.kvm} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

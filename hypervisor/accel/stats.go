// SPDX-License-Identifier: Apache-2.0

package accel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// counterName is KVM's name for the count of instructions that it emulated.
const counterName = "insn_emulation"

// Sizes of struct kvm_stats_header and of the fixed part of kvm_stats_desc
// (Documentation/virt/kvm/api.rst of Linux, section 4.133).
const (
	statsHeader     = 24
	statsDescriptor = 16
	// maxStatsTable is far more than the kernel has.
	maxStatsTable = 1 << 20
)

// emulated reads how many instructions KVM has emulated for the vCPU.
func (m *machine) emulated() (uint64, error) {
	if m.stats < 0 {
		if err := m.openStats(); err != nil {
			return 0, err
		}
	}
	var value [8]byte
	if n, err := unix.Pread(m.stats, value[:], m.stat); err != nil || n != len(value) {
		return 0, fmt.Errorf("reading KVM's counter %s failed: %w", counterName, errors.Join(err, shortRead(n, len(value))))
	}
	return binary.NativeEndian.Uint64(value[:]), nil
}

func (m *machine) openStats() error {
	fd, err := ioctl(m.vcpu, kvmGetStatsFD, 0)
	if err != nil {
		return fmt.Errorf("this kernel does not show KVM's counters, Linux 5.14 or newer does: %w", err)
	}
	m.stats = fd
	var header [statsHeader]byte
	if n, err := unix.Pread(fd, header[:], 0); err != nil || n != len(header) {
		return fmt.Errorf("reading the header of KVM's counters failed: %w", errors.Join(err, shortRead(n, len(header))))
	}
	field := func(i int) int { return int(binary.NativeEndian.Uint32(header[4*i:])) }
	nameSize, count, descriptors, data := field(1), field(2), field(4), field(5)
	size := count * (statsDescriptor + nameSize)
	if size <= 0 || size > maxStatsTable {
		return fmt.Errorf("KVM's table of counters has an unlikely size of %d bytes", size)
	}
	table := make([]byte, size)
	if n, err := unix.Pread(fd, table, int64(descriptors)); err != nil || n != size {
		return fmt.Errorf("reading KVM's table of counters failed: %w", errors.Join(err, shortRead(n, size)))
	}
	at, err := findCounter(table, nameSize, counterName)
	m.stat = int64(data) + at
	return err
}

// findCounter returns the place of a counter within the data block.
func findCounter(table []byte, nameSize int, name string) (int64, error) {
	for entry := statsDescriptor + nameSize; len(table) >= entry; table = table[entry:] {
		found, _, _ := bytes.Cut(table[statsDescriptor:entry], []byte{0})
		if string(found) == name {
			return int64(binary.NativeEndian.Uint32(table[8:])), nil
		}
	}
	return 0, fmt.Errorf("KVM has no counter %s", name)
}

func shortRead(n, want int) error {
	if n == want {
		return nil
	}
	return fmt.Errorf("%d of %d bytes", n, want)
}

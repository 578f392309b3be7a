// SPDX-License-Identifier: Apache-2.0

package names

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What bpf(2) is asked for here, by itself: a library for all of it reads ELF and
// DWARF too, whose start every guest pays for. Each struct is the head of union
// bpf_attr (linux/bpf.h) for one command; the kernel takes what is left out as zero.
type (
	mapCreate struct{ kind, keySize, valueSize, maxEntries uint32 }
	mapUpdate struct {
		table, _   uint32
		key, value unsafe.Pointer
		_          uint64 // flags
	}
	progLoad struct {
		kind, count           uint32
		instructions, license unsafe.Pointer
		_                     [2]uint32 // of the log of the checks, which is not asked for
		_                     uint64    // likewise
		_                     [2]uint32 // version of the kernel, flags
		_                     [16]byte  // name
		_, attachType         uint32    // the first is a device
	}
	linkCreate struct {
		program, target, attachType uint32
		_                           uint32 // flags
	}
)

// attempts bounds how often a command is made: the kernel breaks off the checks of a
// program for a signal, and the Go runtime sends itself those.
const attempts = 10

// bpf runs one command. The result is a descriptor with commands that make something.
func bpf[A mapCreate | mapUpdate | progLoad | linkCreate](what string, command int, attributes *A) (int, error) {
	var code syscall.Errno
	for range attempts {
		var fd uintptr
		fd, _, code = unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(unsafe.Pointer(attributes)), unsafe.Sizeof(*attributes))
		if code == 0 {
			return int(fd), nil
		}
		if code != unix.EAGAIN && code != unix.EINTR {
			break
		}
	}
	return -1, fmt.Errorf("%s: %w", what, os.NewSyscallError("bpf", code))
}

// newTable makes a map of sockets (Linux, Documentation/bpf/map_sockmap.rst), whose
// keys are the places in the list.
func newTable(sockets ...syscall.Conn) (int, error) {
	table, err := bpf("make a BPF map of sockets", unix.BPF_MAP_CREATE, &mapCreate{
		kind: unix.BPF_MAP_TYPE_SOCKMAP, keySize: 4, valueSize: 8, maxEntries: uint32(len(sockets)),
	})
	if err != nil {
		return -1, err
	}
	for i, socket := range sockets {
		if err := put(table, uint32(i), socket); err != nil {
			return -1, errors.Join(err, unix.Close(table))
		}
	}
	return table, nil
}

func put(table int, key uint32, socket syscall.Conn) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		value := uint64(fd)
		_, failed = bpf("put a socket into a BPF map", unix.BPF_MAP_UPDATE_ELEM,
			&mapUpdate{table: uint32(table), key: unsafe.Pointer(&key), value: unsafe.Pointer(&value)})
	})
	return errors.Join(err, failed)
}

// attach has a network namespace look sockets up by a program for as long as the
// descriptor that it returns is open.
func attach(namespace int, program []instruction) (int, error) {
	license := []byte("Apache-2.0\x00")
	loaded, err := bpf("load a BPF program of type sk_lookup", unix.BPF_PROG_LOAD, &progLoad{
		kind: unix.BPF_PROG_TYPE_SK_LOOKUP, attachType: unix.BPF_SK_LOOKUP,
		count: uint32(len(program)), instructions: unsafe.Pointer(&program[0]), license: unsafe.Pointer(&license[0]),
	})
	if err != nil {
		return -1, err
	}
	link, err := bpf("attach a BPF program", unix.BPF_LINK_CREATE, &linkCreate{
		program: uint32(loaded), target: uint32(namespace), attachType: unix.BPF_SK_LOOKUP,
	})
	return link, errors.Join(err, unix.Close(loaded))
}

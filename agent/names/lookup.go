// SPDX-License-Identifier: Apache-2.0

package names

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/names"
)

// instruction is struct bpf_insn, of linux/bpf.h.
type instruction struct {
	code uint8
	// registers has the destination in its lower half, the source in the upper one.
	registers uint8
	offset    int16
	value     int32
}

// register is one of R0 to R10, which is the frame's.
type register uint8

const frame register = 10

// Fields of struct bpf_sk_lookup, of linux/bpf.h, by their offset in bytes.
const (
	lookupFamily    = 8
	lookupProtocol  = 12
	lookupLocalIPv4 = 40 // in network byte order
	lookupLocalPort = 60 // in host byte order
)

// The kernel's functions, by their numbers in linux/bpf.h.
const (
	mapLookupElem = 1
	skRelease     = 86
	skAssign      = 124
)

// passOn is SK_PASS: to the socket that was assigned, or as without the program.
const passOn = 1

// toEnd marks a jump to the last two instructions, whose distance is not known yet.
const toEnd = -1

// lookup is a program that assigns the sockets of a table to what is sent to port
// 53 of an address.
func lookup(server netip.Addr, table int) []instruction {
	const context, value, found, key register = 6, 2, 7, 8
	address := server.As4()
	field := func(offset int16) instruction { return load(value, context, offset) }
	program := []instruction{
		copyOf(context, 1),
		field(lookupFamily),
		jump(unix.BPF_JNE, value, unix.AF_INET, toEnd),
		field(lookupLocalPort),
		jump(unix.BPF_JNE, value, names.Port, toEnd),
		field(lookupLocalIPv4),
		{code: unix.BPF_ALU | unix.BPF_END | unix.BPF_TO_BE, registers: uint8(value), value: 32},
		jump(unix.BPF_JNE, value, int32(binary.BigEndian.Uint32(address[:])), toEnd),
		set(key, keyUDP),
		field(lookupProtocol),
		jump(unix.BPF_JEQ, value, unix.IPPROTO_UDP, 2), // over the next two
		jump(unix.BPF_JNE, value, unix.IPPROTO_TCP, toEnd),
		set(key, keyTCP),
		{code: unix.BPF_STX | unix.BPF_MEM | unix.BPF_W, registers: uint8(frame | key<<4), offset: -4},
		copyOf(2, frame),
		{code: unix.BPF_ALU64 | unix.BPF_ADD | unix.BPF_K, registers: 2, value: -4},
		// The address of the table takes the room of two.
		{code: unix.BPF_LD | unix.BPF_IMM | unix.BPF_DW, registers: 1 | unix.BPF_PSEUDO_MAP_FD<<4, value: int32(table)}, {},
		call(mapLookupElem),
		jump(unix.BPF_JEQ, 0, 0, toEnd), // the socket is closed
		copyOf(found, 0),
		copyOf(1, context),
		copyOf(2, found),
		set(3, 0),
		call(skAssign),
		copyOf(1, found),
		call(skRelease),
	}
	for i := range program {
		if program[i].offset == toEnd {
			program[i].offset = int16(len(program) - i - 1)
		}
	}
	return append(program, set(0, passOn), instruction{code: unix.BPF_JMP | unix.BPF_EXIT})
}

func load(to, from register, offset int16) instruction {
	return instruction{code: unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, registers: uint8(to | from<<4), offset: offset}
}

func copyOf(to, from register) instruction {
	return instruction{code: unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_X, registers: uint8(to | from<<4)}
}

func set(to register, value int32) instruction {
	return instruction{code: unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K, registers: uint8(to), value: value}
}

// jump goes over as many instructions as distance says when a comparison holds.
func jump(comparison uint8, with register, value int32, distance int16) instruction {
	return instruction{code: unix.BPF_JMP | comparison | unix.BPF_K, registers: uint8(with), offset: distance, value: value}
}

func call(function int32) instruction {
	return instruction{code: unix.BPF_JMP | unix.BPF_CALL, value: function}
}

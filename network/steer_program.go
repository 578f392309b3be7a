// SPDX-License-Identifier: Apache-2.0

package network

import (
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Fields of struct bpf_sk_lookup, of linux/bpf.h, by their offset in bytes.
const (
	lookupFamily    = 8
	lookupProtocol  = 12
	lookupLocalIPv4 = 40 // in network byte order, as IPv6
	lookupLocalIPv6 = 44
)

// passOn is SK_PASS: to the socket that was assigned, or as without the program.
const passOn = 1

// toLoopback is a program of type sk_lookup that assigns the only socket of a
// map to TCP connections to 127.0.0.1 and ::1.
func toLoopback(sockets int) asm.Instructions {
	const (
		context = asm.R6
		found   = asm.R7
	)
	field := func(offset int16) asm.Instruction { return asm.LoadMem(asm.R2, context, offset, asm.Word) }
	program := asm.Instructions{
		asm.Mov.Reg(context, asm.R1),
		field(lookupProtocol),
		asm.JNE.Imm(asm.R2, unix.IPPROTO_TCP, "other"),
		field(lookupFamily),
		asm.JEq.Imm(asm.R2, unix.AF_INET6, "ipv6"),
		field(lookupLocalIPv4),
		asm.HostTo(asm.BE, asm.R2, asm.Word),
		asm.JNE.Imm(asm.R2, 0x7f000001, "other"),
		asm.Ja.Label("steer"),
		field(lookupLocalIPv6).WithSymbol("ipv6"),
		asm.JNE.Imm(asm.R2, 0, "other"),
		field(lookupLocalIPv6 + 4),
		asm.JNE.Imm(asm.R2, 0, "other"),
		field(lookupLocalIPv6 + 8),
		asm.JNE.Imm(asm.R2, 0, "other"),
		field(lookupLocalIPv6 + 12),
		asm.HostTo(asm.BE, asm.R2, asm.Word),
		asm.JNE.Imm(asm.R2, 1, "other"),
	}
	return append(program,
		asm.StoreImm(asm.RFP, -4, 0, asm.Word).WithSymbol("steer"), // the key
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, sockets),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "other"), // the listener is closed
		asm.Mov.Reg(found, asm.R0),
		asm.Mov.Reg(asm.R1, context),
		asm.Mov.Reg(asm.R2, found),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnSkAssign.Call(),
		asm.Mov.Reg(asm.R1, found),
		asm.FnSkRelease.Call(),
		asm.Mov.Imm(asm.R0, passOn).WithSymbol("other"),
		asm.Return(),
	)
}

// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/names"
)

// sockets are those that get what is sent to port 53 of an address, whatever
// else listens there. They themselves are bound to another port of it.
type sockets struct {
	server   netip.Addr
	udp      *net.UDPConn
	tcp      *net.TCPListener
	attached link.Link
}

// take takes the port over, by a BPF program of type sk_lookup (Linux,
// Documentation/bpf/prog_sk_lookup.rst), in the calling thread's namespace.
func take(server netip.Addr) (_ *sockets, err error) {
	if !server.IsLoopback() || server == netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return nil, fmt.Errorf("%s is not to be taken from those in the guest: %w", server, errdefs.ErrInvalidArgument)
	}
	s := &sockets{server: server}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("take port %d of %s over: %w", names.Port, server, err), s.close())
		}
	}()
	if s.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(server, 0))); err != nil {
		return nil, err
	}
	if s.tcp, err = listen(server); err != nil {
		return nil, err
	}
	targets, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.SockMap, KeySize: 4, ValueSize: 8, MaxEntries: 2})
	if err != nil {
		return nil, err
	}
	defer targets.Close()
	if err := errors.Join(put(targets, keyUDP, s.udp), put(targets, keyTCP, s.tcp)); err != nil {
		return nil, err
	}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SkLookup, AttachType: ebpf.AttachSkLookup, License: "Apache-2.0",
		Instructions: lookup(server, targets.FD()),
	})
	if err != nil {
		return nil, err
	}
	defer program.Close()
	own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(own) }()
	s.attached, err = link.AttachNetNs(own, program)
	return s, err
}

func listen(server netip.Addr) (*net.TCPListener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // a BPF map takes no MPTCP sockets
	l, err := config.Listen(context.Background(), "tcp4", netip.AddrPortFrom(server, 0).String())
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// Keys of the map of sockets.
const (
	keyUDP = iota
	keyTCP
)

func put(targets *ebpf.Map, key uint32, socket syscall.Conn) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = targets.Put(key, uint64(fd)) })
	return errors.Join(err, failed)
}

// close gives the port up.
func (s *sockets) close() error {
	var errs []error
	if s.attached != nil {
		errs = append(errs, s.attached.Close())
	}
	if s.udp != nil {
		errs = append(errs, s.udp.Close())
	}
	if s.tcp != nil {
		errs = append(errs, s.tcp.Close())
	}
	return errors.Join(errs...)
}

// Fields of struct bpf_sk_lookup, of linux/bpf.h, by their offset in bytes.
const (
	lookupFamily    = 8
	lookupProtocol  = 12
	lookupLocalIPv4 = 40 // in network byte order
	lookupLocalPort = 60 // in host byte order
)

// lookup is a program that assigns the sockets of a map to what is sent to port
// 53 of an address.
func lookup(server netip.Addr, targets int) asm.Instructions {
	const (
		context = asm.R6
		key     = asm.R8
		found   = asm.R7
	)
	field := func(offset int16) asm.Instruction { return asm.LoadMem(asm.R2, context, offset, asm.Word) }
	address := server.As4()
	return asm.Instructions{
		asm.Mov.Reg(context, asm.R1),
		field(lookupFamily),
		asm.JNE.Imm(asm.R2, unix.AF_INET, "other"),
		field(lookupLocalPort),
		asm.JNE.Imm(asm.R2, names.Port, "other"),
		field(lookupLocalIPv4),
		asm.HostTo(asm.BE, asm.R2, asm.Word),
		asm.JNE.Imm(asm.R2, int32(binary.BigEndian.Uint32(address[:])), "other"),
		asm.Mov.Imm(key, keyUDP),
		field(lookupProtocol),
		asm.JEq.Imm(asm.R2, unix.IPPROTO_UDP, "assign"),
		asm.JNE.Imm(asm.R2, unix.IPPROTO_TCP, "other"),
		asm.Mov.Imm(key, keyTCP),
		asm.StoreMem(asm.RFP, -4, key, asm.Word).WithSymbol("assign"),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, targets),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "other"), // the socket is closed
		asm.Mov.Reg(found, asm.R0),
		asm.Mov.Reg(asm.R1, context),
		asm.Mov.Reg(asm.R2, found),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnSkAssign.Call(),
		asm.Mov.Reg(asm.R1, found),
		asm.FnSkRelease.Call(),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("other"), // SK_PASS
		asm.Return(),
	}
}

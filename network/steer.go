// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// Steer takes over the loopback of the namespace bound to nsPath: every new TCP
// connection there to 127.0.0.1 or ::1, whatever its port, comes to the listener,
// whose connections have the address that was dialled as their LocalAddr.
// Connections to other addresses and in other namespaces stay as they are, and
// so do those that exist.
//
// The kernel is told by a BPF program of type sk_lookup, which looks before the
// kernel looks for a listener (Linux 5.9, Documentation/bpf/prog_sk_lookup.rst).
// Nothing of it outlives the listener or the process: program, map and
// attachment are file descriptors, and no rule is written anywhere.
//
// The error is ErrNotFound when nsPath is no namespace, ErrInvalidArgument when
// it is the caller's own, and ErrNotImplemented when the kernel lacks or
// refuses BPF.
func Steer(nsPath string) (net.Listener, error) {
	ns, err := open(nsPath)
	if err != nil {
		return nil, err
	}
	defer ns.close()
	if err := ns.foreign(); err != nil {
		return nil, err
	}
	listener, err := ns.listenLoopback()
	if err != nil {
		return nil, err
	}
	attached, err := ns.steerTo(listener)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	return &steered{TCPListener: listener, attached: attached}, nil
}

// steered is a listener that ends the steering with itself.
type steered struct {
	*net.TCPListener
	attached link.Link
}

// Accept implements net.Listener.
func (s *steered) Accept() (net.Conn, error) {
	for {
		c, err := s.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if c.LocalAddr().(*net.TCPAddr).IP.IsLoopback() {
			return c, nil
		}
		// Somebody found the socket's own port, on another address of the namespace.
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}

// Close implements net.Listener. Accepted connections stay.
func (s *steered) Close() error {
	// In this order: a connection in between is refused, not left hanging.
	return errors.Join(s.attached.Close(), s.TCPListener.Close())
}

// foreign refuses the caller's own namespace, whose loopback many others use.
func (n *namespace) foreign() error {
	var own, other unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &own); err != nil {
		return fmt.Errorf("look at the process's own network namespace: %w", err)
	}
	if err := unix.Fstat(int(n.fd), &other); err != nil {
		return fmt.Errorf("look at network namespace %s: %w", n.path, err)
	}
	if own.Dev == other.Dev && own.Ino == other.Ino {
		return fmt.Errorf("steer the loopback of %s: it is this process's own namespace: %w", n.path, errdefs.ErrInvalidArgument)
	}
	return nil
}

// listenLoopback makes one socket for both families, which only one that is
// bound to no address can be.
func (n *namespace) listenLoopback() (*net.TCPListener, error) {
	config := net.ListenConfig{Control: toLoopbackOnly}
	config.SetMultipathTCP(false) // a BPF map takes no MPTCP sockets
	var listener net.Listener
	err := n.enter(func() (err error) {
		listener, err = config.Listen(context.Background(), "tcp", ":0")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on the loopback of %s: %w", n.path, err)
	}
	return listener.(*net.TCPListener), nil
}

// toLoopbackOnly keeps what comes in at other devices from a socket.
func toLoopbackOnly(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = os.NewSyscallError("setsockopt", unix.BindToDevice(int(fd), "lo"))
	})
	return errors.Join(err, failed)
}

// steerTo attaches a program to the namespace that leads to the listener.
func (n *namespace) steerTo(listener *net.TCPListener) (link.Link, error) {
	target, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.SockMap, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		return nil, n.unsteered("make a BPF map of sockets", err)
	}
	defer target.Close()
	if err := put(target, listener); err != nil {
		return nil, n.unsteered("put a socket into a BPF map", err)
	}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SkLookup, AttachType: ebpf.AttachSkLookup, License: "Apache-2.0",
		Instructions: toLoopback(target.FD()),
	})
	if err != nil {
		return nil, n.unsteered("load a BPF program of type sk_lookup", err)
	}
	defer program.Close()
	attached, err := link.AttachNetNs(int(n.fd), program)
	if err != nil {
		return nil, n.unsteered("attach a BPF program", err)
	}
	return attached, nil
}

func put(target *ebpf.Map, listener *net.TCPListener) error {
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = target.Put(uint32(0), uint64(fd)) })
	return errors.Join(err, failed)
}

// unsteered explains what the kernel refused.
func (n *namespace) unsteered(what string, err error) error {
	return fmt.Errorf("steer the loopback of %s: %s: %w: %w; it takes Linux 5.9 or later, CAP_BPF and CAP_NET_ADMIN, and no lockdown",
		n.path, what, err, errdefs.ErrNotImplemented)
}

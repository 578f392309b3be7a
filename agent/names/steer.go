// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

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
	attached int // -1 if not
}

// take takes the port over, by a BPF program of type sk_lookup (Linux,
// Documentation/bpf/prog_sk_lookup.rst), in the calling thread's namespace.
func take(server netip.Addr) (_ *sockets, err error) {
	if !server.IsLoopback() || server == netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return nil, fmt.Errorf("%s is not to be taken from those in the guest: %w", server, errdefs.ErrInvalidArgument)
	}
	s := &sockets{server: server, attached: -1}
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
	table, err := newTable(s.udp, s.tcp)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(table) }() // The program has it.
	own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(own) }()
	s.attached, err = attach(own, lookup(server, table))
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

// Keys of the table of sockets.
const (
	keyUDP = iota
	keyTCP
)

// close gives the port up.
func (s *sockets) close() error {
	var errs []error
	if s.attached >= 0 {
		errs = append(errs, unix.Close(s.attached))
	}
	if s.udp != nil {
		errs = append(errs, s.udp.Close())
	}
	if s.tcp != nil {
		errs = append(errs, s.tcp.Close())
	}
	return errors.Join(errs...)
}

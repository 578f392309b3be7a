// SPDX-License-Identifier: Apache-2.0

package names

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/names"
)

// replier sends answers over UDP from port 53 of an address, where no socket may
// be bound: it is somebody else's. So it writes whole packets, see raw(7).
type replier struct {
	file   *os.File
	server netip.Addr
}

func newReplier(server netip.Addr) (*replier, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return nil, fmt.Errorf("open a raw socket: %w", err)
	}
	return &replier{file: os.NewFile(uintptr(fd), "raw"), server: server}, nil
}

const (
	ipHeader  = 20
	udpHeader = 8
	// maxUDP is what a packet of IPv4 holds.
	maxUDP = 65535 - ipHeader - udpHeader
)

// packet is an answer with the headers of IPv4 and UDP (RFC 791, RFC 768). The
// kernel puts in the packet's length, number and checksum; UDP's checksum is
// left out, which 0 says.
func (r *replier) packet(to netip.AddrPort, message []byte) []byte {
	p := make([]byte, ipHeader+udpHeader, ipHeader+udpHeader+len(message))
	from, dest := r.server.As4(), to.Addr().As4()
	p[0] = 4<<4 | ipHeader/4
	p[8] = 64 // time to live
	p[9] = unix.IPPROTO_UDP
	copy(p[12:], from[:])
	copy(p[16:], dest[:])
	binary.BigEndian.PutUint16(p[20:], names.Port)
	binary.BigEndian.PutUint16(p[22:], to.Port())
	binary.BigEndian.PutUint16(p[24:], uint16(udpHeader+len(message)))
	return append(p, message...)
}

func (r *replier) send(to netip.AddrPort, message []byte) error {
	if len(message) > maxUDP {
		return fmt.Errorf("an answer of %d bytes is too long for UDP", len(message))
	}
	raw, err := r.file.SyscallConn()
	if err != nil {
		return err
	}
	packet, failed := r.packet(to, message), error(nil)
	err = raw.Write(func(fd uintptr) bool {
		failed = unix.Sendto(int(fd), packet, 0, &unix.SockaddrInet4{Addr: to.Addr().As4()})
		return !errors.Is(failed, unix.EAGAIN)
	})
	return errors.Join(err, failed)
}

func (r *replier) close() error { return r.file.Close() }

// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
)

// guest stands in for a VM behind a TAP: it answers ARP requests, neighbour
// solicitations and echo requests for its addresses, and keeps the echo replies
// that come to it. It is as much of IP as that takes.
type guest struct {
	file    *os.File
	mac     net.HardwareAddr
	ip4     netip.Addr
	ip6     netip.Addr
	replies chan netip.Addr // senders of echo replies
	done    chan struct{}
}

const (
	vnetHeader  = 10 // of a virtio_net_hdr without mergeable buffers, the default of a TAP
	etherHeader = 14
	typeIP4     = 0x0800
	typeARP     = 0x0806
	typeIP6     = 0x86dd
)

func startGuest(t *testing.T, f *os.File) *guest {
	t.Helper()
	return startGuestAs(t, f, mac(t, podMAC))
}

// startGuestAs gives the guest's NIC a MAC.
func startGuestAs(t *testing.T, f *os.File, hw net.HardwareAddr) *guest {
	t.Helper()
	g := &guest{
		file: f, mac: hw, ip4: addr(podIP4), ip6: addr(podIP6),
		replies: make(chan netip.Addr, 100), done: make(chan struct{}),
	}
	go g.run(t)
	t.Cleanup(func() {
		_ = f.SetReadDeadline(time.Unix(1, 0))
		leaktest.Receive(t, g.done)
	})
	return g
}

func (g *guest) run(t *testing.T) {
	defer close(g.done)
	b := make([]byte, 64<<10)
	for {
		n, err := g.file.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed) || errors.Is(err, unix.EBADFD) {
			return // EBADFD: the TAP was deleted
		}
		if err != nil {
			t.Errorf("the guest's read failed: %v", err)
			return
		}
		if n < vnetHeader+etherHeader {
			t.Errorf("a frame of %d bytes", n)
			continue
		}
		if out := g.answer(bytes.Clone(b[vnetHeader:n])); out != nil {
			g.send(t, out)
		}
	}
}

func (g *guest) send(t *testing.T, frame []byte) {
	if _, err := g.file.Write(append(make([]byte, vnetHeader), frame...)); err != nil {
		t.Errorf("the guest's write failed: %v", err)
	}
}

// answer turns a frame into its reply in place; nil for none.
func (g *guest) answer(f []byte) []byte {
	body := f[etherHeader:]
	switch binary.BigEndian.Uint16(f[12:]) {
	case typeARP:
		return g.answerARP(f, body)
	case typeIP4:
		return g.answerIP4(f, body)
	case typeIP6:
		return g.answerIP6(f, body)
	}
	return nil
}

// turn sends a frame back to where it came from.
func (g *guest) turn(f []byte) []byte {
	copy(f[0:6], f[6:12])
	copy(f[6:12], g.mac)
	return f
}

// answerARP follows RFC 826.
func (g *guest) answerARP(f, b []byte) []byte {
	if len(b) < 28 || b[7] != 1 || !bytes.Equal(b[24:28], g.ip4.AsSlice()) {
		return nil
	}
	b[7] = 2
	copy(b[18:28], b[8:18]) // the asker becomes the target
	copy(b[8:14], g.mac)
	copy(b[14:18], g.ip4.AsSlice())
	return g.turn(f)
}

// answerIP4 answers an echo request (RFC 792).
func (g *guest) answerIP4(f, b []byte) []byte {
	if len(b) < 28 || b[9] != unix.IPPROTO_ICMP {
		return nil
	}
	src, _ := netip.AddrFromSlice(b[12:16])
	icmp := b[20:binary.BigEndian.Uint16(b[2:])]
	switch icmp[0] {
	case 0:
		g.replies <- src
	case 8:
		copy(b[16:20], b[12:16])
		copy(b[12:16], g.ip4.AsSlice())
		seal(b[:20], 10, nil)
		icmp[0] = 0
		seal(icmp, 2, nil)
		return g.turn(f)
	}
	return nil
}

// answerIP6 answers echo requests (RFC 4443) and neighbour solicitations
// (RFC 4861).
func (g *guest) answerIP6(f, b []byte) []byte {
	if len(b) < 48 || b[6] != unix.IPPROTO_ICMPV6 {
		return nil
	}
	src, _ := netip.AddrFromSlice(b[8:24])
	icmp := b[40:]
	switch icmp[0] {
	case 129:
		g.replies <- src
		return nil
	case 128:
		icmp[0] = 129
	case 135:
		if !bytes.Equal(icmp[8:24], g.ip6.AsSlice()) {
			return nil
		}
		icmp[0], icmp[4] = 136, 0x60 // solicited, override
		f = append(f[:etherHeader+64], 2, 1)
		f = append(f, g.mac...)
		b = f[etherHeader:]
		icmp = b[40:]
		binary.BigEndian.PutUint16(b[4:], uint16(len(icmp)))
	default:
		return nil
	}
	copy(b[24:40], b[8:24])
	copy(b[8:24], g.ip6.AsSlice())
	seal(icmp, 2, pseudo(b))
	return g.turn(f)
}

// ask sends an echo request to the far end, whose MAC the test knows.
func (g *guest) ask(t *testing.T, to netip.Addr) {
	icmp := []byte{8, 0, 0, 0, 0, 1, 0, 1, 'p', 'i', 'n', 'g'}
	f := append(append(mac(t, peerMAC), g.mac...), 0, 0)
	if to.Is4() {
		binary.BigEndian.PutUint16(f[12:], typeIP4)
		ip := make([]byte, 20)
		ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_ICMP
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(icmp)))
		copy(ip[12:], g.ip4.AsSlice())
		copy(ip[16:], to.AsSlice())
		seal(ip, 10, nil)
		seal(icmp, 2, nil)
		g.send(t, append(append(f, ip...), icmp...))
		return
	}
	binary.BigEndian.PutUint16(f[12:], typeIP6)
	ip := make([]byte, 40)
	ip[0], ip[6], ip[7] = 0x60, unix.IPPROTO_ICMPV6, 64
	binary.BigEndian.PutUint16(ip[4:], uint16(len(icmp)))
	copy(ip[8:], g.ip6.AsSlice())
	copy(ip[24:], to.AsSlice())
	icmp[0] = 128
	seal(icmp, 2, pseudo(append(ip, icmp...)))
	g.send(t, append(append(f, ip...), icmp...))
}

// reaches wants an echo reply from the far end.
func (g *guest) reaches(t *testing.T, to netip.Addr) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		g.ask(t, to)
		for again := time.After(time.Second); again != nil; {
			select {
			case from := <-g.replies: // the others are late
				if from == to {
					return
				}
			case <-again:
				again = nil
			}
		}
	}
	t.Fatalf("%s did not answer the guest", to)
}

// pseudo is the pseudo header of RFC 8200, section 8.1, for ICMPv6.
func pseudo(ip []byte) []byte {
	p := bytes.Clone(ip[8:40])
	p = binary.BigEndian.AppendUint32(p, uint32(binary.BigEndian.Uint16(ip[4:])))
	return append(p, 0, 0, 0, unix.IPPROTO_ICMPV6)
}

// seal puts the internet checksum (RFC 1071) of before and b into b.
func seal(b []byte, at int, before []byte) {
	b[at], b[at+1] = 0, 0
	var sum uint32
	for _, part := range [][]byte{before, b} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
		if len(part)%2 == 1 {
			sum += uint32(part[len(part)-1]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[at:], ^uint16(sum))
}

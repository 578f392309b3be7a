// SPDX-License-Identifier: Apache-2.0

package network

import (
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/errdefs"
)

func TestDial(t *testing.T) {
	ns := newNS(t, "dialled")
	var tcp net.Listener
	var udp net.PacketConn
	must(t, ns.enter(func() (err error) {
		if tcp, err = net.Listen("tcp", "127.0.0.11:0"); err != nil {
			return err
		}
		udp, err = net.ListenPacket("udp", "127.0.0.11:0")
		return err
	}))
	defer func() { _ = tcp.Close(); _ = udp.Close() }()
	go func() {
		if c, err := tcp.Accept(); err == nil {
			_, _ = c.Write([]byte("tcp"))
			_ = c.Close()
		}
	}()
	go func() {
		buf := make([]byte, 10)
		if _, from, err := udp.ReadFrom(buf); err == nil {
			_, _ = udp.WriteTo([]byte("udp"), from)
		}
	}()
	for transport, address := range map[string]net.Addr{"tcp": tcp.Addr(), "udp": udp.LocalAddr()} {
		c, err := Dial(t.Context(), ns.path, transport, netip.MustParseAddrPort(address.String()))
		must(t, err)
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Write([]byte("?")); err != nil {
			t.Error(err)
		}
		buf := make([]byte, 3)
		if _, err := io.ReadFull(c, buf); err != nil || string(buf) != transport {
			t.Errorf("%s: %q, %v", transport, buf, err)
		}
		_ = c.Close()
	}
	if _, err := Dial(t.Context(), filepath.Join(t.TempDir(), "absent"), "udp", netip.MustParseAddrPort("127.0.0.1:53")); !errdefs.IsNotFound(err) {
		t.Errorf("a namespace that is not there gave %v", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/yamux"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/fake"
	"github.com/katapod/katapod/protocols/transport"
)

// hostilePeer is a guest behind the real transport: a serial channel with many
// streams. It starts as an honest one, whose agent is a fakeAgent.
type hostilePeer struct {
	agent *fakeAgent
	conn  net.Conn // below the session
	// mute drops what the honest part says from then on, and deaf reads no more.
	mute, deaf atomic.Bool
	stream     chan *yamux.Stream // the agent's, once
	gone       chan struct{}
}

// peerVM is a fake VM whose guest is the peer.
type peerVM struct {
	*fake.VM
	dialer *transport.Serial
}

func (vm peerVM) Dialer() transport.Dialer { return vm.dialer }

// peerFixture is a pod that runs in such a guest.
func peerFixture(t *testing.T, life liveness) (*fixture, *hostilePeer) {
	t.Helper()
	f := newFixture(t)
	f.pod.liveness = life
	p := &hostilePeer{agent: f.agent, stream: make(chan *yamux.Stream, 1), gone: make(chan struct{})}
	path := filepath.Join(t.TempDir(), "mux.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	f.vm.wrap = func(vm *fake.VM) hypervisor.VM {
		wrapped := peerVM{vm, transport.NewSerial(path)}
		go func() { // the sockets of a VMM end with it
			<-vm.Done()
			close(p.gone)
			_ = l.Close()
			_ = wrapped.dialer.Close()
		}()
		go p.serve(l)
		return wrapped
	}
	if err := f.pod.Start(background); err != nil {
		t.Fatal(err)
	}
	return f, p
}

// serve is the guest's end of the channel, see package transport.
func (p *hostilePeer) serve(l net.Listener) {
	var err error
	if p.conn, err = l.Accept(); err != nil {
		return
	}
	go func() {
		<-p.gone
		_ = p.conn.Close()
	}()
	r := bufio.NewReader(p.conn)
	hello, err := r.ReadString('\n')
	if err != nil {
		return
	}
	_, _ = io.WriteString(p.conn, strings.Replace(hello, "HELLO", "READY", 1))
	config := yamux.DefaultConfig()
	config.EnableKeepAlive, config.LogOutput = false, io.Discard
	session, err := yamux.Server(peerConn{p, r}, config)
	if err != nil {
		return
	}
	for {
		s, err := session.AcceptStream()
		if err != nil {
			return
		}
		go p.greet(s)
	}
}

func (p *hostilePeer) greet(s *yamux.Stream) {
	var port uint32
	if _, err := fmt.Fscanf(byteReader{s}, "CONNECT %d\n", &port); err != nil {
		return
	}
	_, _ = fmt.Fprintf(s, "OK %d\n", port)
	switch port {
	case transport.PortAgent:
		p.stream <- s
		p.agent.serve(s)
	case transport.PortStdio:
		p.agent.takeStream(s)
	default:
		_ = s.Close()
	}
}

// byteReader keeps scanning from reading ahead.
type byteReader struct{ io.Reader }

func (b byteReader) Read(p []byte) (int, error) { return b.Reader.Read(p[:1]) }

// peerConn is the connection as the honest part has it.
type peerConn struct {
	peer *hostilePeer
	r    *bufio.Reader
}

func (c peerConn) Read(p []byte) (int, error) {
	if c.peer.deaf.Load() {
		<-c.peer.gone
	}
	return c.r.Read(p)
}

func (c peerConn) Write(p []byte) (int, error) {
	if c.peer.mute.Load() {
		return len(p), nil
	}
	return c.peer.conn.Write(p)
}

func (c peerConn) Close() error { return nil }

// muxFrame is a frame of the multiplexer with a body of any length.
func muxFrame(kind byte, flags uint16, stream, length uint32, body string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, kind}, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(binary.BigEndian.AppendUint32(b, length), body...)
}

// agentFrame is one of ttrpc.
func agentFrame(length, stream uint32, kind byte, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	return append(append(binary.BigEndian.AppendUint32(b, stream), kind, 0), body...)
}

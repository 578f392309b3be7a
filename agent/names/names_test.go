// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/names"
)

// apart puts the test into a network namespace of its own, with its thread, which
// ends with it.
func apart(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace of its own needs root")
	}
	runtime.LockOSThread()
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// far is a host whose server answers with the question, backwards, and not at all
// to "silence".
func far(stream io.ReadWriter) {
	for {
		q, err := names.ReadQuestion(stream)
		if err != nil {
			return
		}
		answer := names.Answer{Number: q.Number}
		if string(q.Message) != "silence" {
			answer.Message = bytes.Clone(q.Message)
			slices.Reverse(answer.Message)
		}
		if answer.Write(stream) != nil {
			return
		}
	}
}

// served answers for 127.0.0.11 in the test's namespace. The host's end is
// returned.
func served(t *testing.T) net.Conn {
	t.Helper()
	server := netip.MustParseAddr("127.0.0.11")
	taken, err := take(server)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := newReplier(server)
	if err != nil {
		t.Fatal(err)
	}
	near, host := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		(&asker{stream: near, open: map[uint32]func([]byte){}}).run(t.Context(), taken, reply)
	}()
	t.Cleanup(func() {
		_ = host.Close()
		leaktest.Receive(t, done)
	})
	return host
}

// dial is a client in the test's namespace.
func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func askUDP(t *testing.T, conn net.Conn, question string) string {
	t.Helper()
	if _, err := conn.Write([]byte(question)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	count, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:count])
}

// A client that insists on the address it asked gets its answers, over both
// transports, while another server has the same port on every address.
func TestNames(t *testing.T) {
	apart(t)
	other, err := net.ListenPacket("udp4", ":53")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	otherTCP, err := net.Listen("tcp4", ":53")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = otherTCP.Close() }()
	go func() {
		buf := make([]byte, 100)
		for {
			_, from, err := other.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = other.WriteTo([]byte("the other"), from)
		}
	}()
	go far(served(t))
	udp := dial(t, "udp4", "127.0.0.11:53")
	long := strings.Repeat("x", 9000) + "y"
	for _, q := range []string{"abc", "silence", "def", long} {
		if q == "silence" {
			if _, err := udp.Write([]byte(q)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want := []byte(q)
		slices.Reverse(want)
		if got := askUDP(t, udp, q); got != string(want) {
			t.Errorf("%.20q got the answer %.20q", q, got)
		}
	}
	if got := askUDP(t, dial(t, "udp4", "127.0.0.1:53"), "abc"); got != "the other" {
		t.Errorf("another server's question was answered with %q", got)
	}
	tcp := dial(t, "tcp4", "127.0.0.11:53")
	for _, q := range []string{"abc", long, "silence"} {
		if err := names.WriteMessage(tcp, []byte(q)); err != nil {
			t.Fatal(err)
		}
		answer, err := names.ReadMessage(tcp)
		if slices.Reverse(answer); q != "silence" && (err != nil || string(answer) != q) {
			t.Errorf("%.20q got the answer %.20q, %v", q, answer, err)
		} else if q == "silence" && !errors.Is(err, io.EOF) {
			t.Errorf("a question without an answer got %q, %v", answer, err)
		}
	}
}

// When the host has gone, the address is given up and nobody is kept waiting.
func TestNamesEnd(t *testing.T) {
	apart(t)
	host := served(t)
	tcp := dial(t, "tcp4", "127.0.0.11:53")
	if err := names.WriteMessage(tcp, []byte("abc")); err != nil {
		t.Fatal(err)
	}
	if _, err := names.ReadQuestion(host); err != nil {
		t.Fatal(err)
	}
	if err := host.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := names.ReadMessage(tcp); !errors.Is(err, io.EOF) {
		t.Errorf("an open question ended with %v", err)
	}
	for {
		conn, err := net.Dial("tcp4", "127.0.0.11:53")
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	again, err := take(netip.MustParseAddr("127.0.0.11"))
	if err != nil {
		t.Fatal(err)
	}
	if err := again.close(); err != nil {
		t.Error(err)
	}
}

func TestAddressesThatAreNotTaken(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "10.0.0.1", "0.0.0.0", "169.254.0.1"} {
		if _, err := take(netip.MustParseAddr(address)); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

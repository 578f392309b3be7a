// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
)

// loopbacks are the addresses that are steered.
var loopbacks = [...]string{"127.0.0.1", "::1"}

// dialIn dials from within a namespace.
func dialIn(ns *namespace, host string, port int) (c net.Conn, err error) {
	err = ns.enter(func() (err error) {
		c, err = net.DialTimeout("tcp", net.JoinHostPort(host, fmt.Sprint(port)), patience)
		return err
	})
	return c, err
}

// steer steers a namespace for the test's life; each connection is told the
// address it dialled.
func steer(t *testing.T, ns *namespace) net.Listener {
	t.Helper()
	l, err := Steer(ns.path)
	if errdefs.IsNotImplemented(err) {
		t.Skip(err)
	}
	must(t, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, c.LocalAddr().String())
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		leaktest.Receive(t, served)
	})
	return l
}

func TestSteer(t *testing.T) {
	ns, other := newNS(t, "pod"), newNS(t, "other")
	steer(t, ns)
	ports := []int{1, 22, 65535}
	for range 20 {
		ports = append(ports, 1+rand.IntN(65535))
	}
	for _, host := range loopbacks {
		for _, port := range ports {
			c, err := dialIn(ns, host, port)
			must(t, err)
			told, err := io.ReadAll(c)
			must(t, err)
			if want := net.JoinHostPort(host, fmt.Sprint(port)); string(told) != want || c.RemoteAddr().String() != want {
				t.Errorf("dialled %s, which came as %s", want, told)
			}
			_ = c.Close()
		}
		if c, err := dialIn(other, host, 22); err == nil {
			_ = c.Close()
			t.Errorf("another namespace's %s is steered", host)
		}
	}
}

// What is not the loopback's own address, and what is not TCP, goes where it
// went.
func TestSteerLeavesTheRest(t *testing.T) {
	ns := newNS(t, "pod")
	l := steer(t, ns)
	lo, err := ns.LinkByName("lo")
	must(t, err)
	addAddr(t, ns, lo, podIP4+"/32")
	addAddr(t, ns, lo, podIP6+"/128")
	for _, host := range []string{podIP4, podIP6, "127.0.0.2"} {
		if c, err := dialIn(ns, host, 80); err == nil {
			_ = c.Close()
			t.Errorf("%s is steered", host)
		}
		var own net.Listener
		must(t, ns.enter(func() (err error) {
			own, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
			return err
		}))
		c, err := dialIn(ns, host, own.Addr().(*net.TCPAddr).Port)
		must(t, err)
		far, err := own.Accept()
		must(t, err)
		for _, c := range []io.Closer{c, far, own} {
			must(t, c.Close())
		}
	}
	t.Run("the listener's own port", func(t *testing.T) { ownPort(t, ns, l) })
	must(t, ns.enter(func() error {
		l, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		if _, err := l.WriteTo([]byte("x"), l.LocalAddr()); err != nil {
			return err
		}
		_ = l.SetDeadline(time.Now().Add(patience))
		_, _, err = l.ReadFrom(make([]byte, 9))
		return err
	}))
}

// ownPort finds the listener's own port, which is like all others on the
// loopback and of no use elsewhere.
func ownPort(t *testing.T, ns *namespace, l net.Listener) {
	for host, want := range map[string]bool{"127.0.0.1": true, "::1": true, "127.0.0.2": true, podIP4: false, podIP6: false} {
		c, err := dialIn(ns, host, l.Addr().(*net.TCPAddr).Port)
		var told []byte
		if err == nil { // it may be reset already
			told, _ = io.ReadAll(c)
			_ = c.Close()
		}
		if got := len(told) > 0; got != want {
			t.Errorf("%s: served %v, want %v", host, got, want)
		}
	}
}

// A namespace whose loopback device is still down, or has no IPv6.
func TestSteerBeforeTheLoopback(t *testing.T) {
	ns := newNS(t, "pod")
	lo, err := ns.LinkByName("lo")
	must(t, err)
	must(t, ns.LinkSetDown(lo))
	steer(t, ns)
	must(t, ns.LinkSetUp(lo))
	for _, host := range loopbacks {
		c, err := dialIn(ns, host, 8080)
		must(t, err)
		_ = c.Close()
	}
	must(t, ns.enter(func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0)
	}))
	c, err := dialIn(ns, "127.0.0.1", 8080)
	must(t, err)
	_ = c.Close()
}

// The end leaves no file, no attachment and no thread abroad, and what listens
// in the namespace is found again.
func TestSteerEnds(t *testing.T) {
	ns, home := newNS(t, "pod"), homeNS(t)
	steer(t, ns) // what the first one keeps for later ones is not a leak
	again := newNS(t, "again")
	before := openFDs(t)
	for range 3 {
		l, err := Steer(again.path)
		must(t, err)
		must(t, l.Close())
		for _, host := range loopbacks {
			if c, err := dialIn(again, host, 8080); err == nil {
				_ = c.Close()
				t.Errorf("%s is steered after the end", host)
			}
		}
	}
	if after := openFDs(t); after > before {
		t.Errorf("%d file descriptors before, %d after", before, after)
	}
	if now := homeNS(t); now != home {
		t.Errorf("the process was in %s and is in %s", home, now)
	}
}

func TestSteerRefuses(t *testing.T) {
	needRoot(t)
	if _, err := Steer("/proc/self/ns/net"); !errdefs.IsInvalidArgument(err) {
		t.Errorf("the own namespace gave %v", err)
	}
	if _, err := Steer(filepath.Join(t.TempDir(), "none")); !errdefs.IsNotFound(err) {
		t.Errorf("no namespace gave %v", err)
	}
	err := (&namespace{path: "/x"}).unsteered("load a BPF program", unix.EPERM)
	if !errdefs.IsNotImplemented(err) || !strings.Contains(err.Error(), "operation not permitted") {
		t.Errorf("a kernel that refuses gave %v", err)
	}
}

func BenchmarkSteer(b *testing.B) {
	path := filepath.Join(b.TempDir(), "ns")
	if err := NewNamespace(path); err != nil {
		b.Skip(err)
	}
	defer DeleteNamespace(path)
	for b.Loop() {
		l, err := Steer(path)
		if err != nil {
			b.Fatal(err)
		}
		_ = l.Close()
	}
}

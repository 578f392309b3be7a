// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestNamespace(t *testing.T) {
	needRoot(t)
	before, home := openFDs(t), homeNS(t)
	path := filepath.Join(t.TempDir(), "deeper", "ns")
	must(t, NewNamespace(path))
	if err := NewNamespace(path); !errdefs.IsAlreadyExists(err) {
		t.Errorf("a second one gave %v", err)
	}
	ns, err := open(path)
	must(t, err)
	lo, err := ns.LinkByName("lo")
	must(t, err)
	if lo.Attrs().Flags&net.FlagUp == 0 {
		t.Error("the loopback device is down")
	}
	ns.close()
	must(t, DeleteNamespace(path))
	must(t, DeleteNamespace(path))
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is left: %v", err)
	}
	if after := openFDs(t); after > before {
		t.Errorf("%d file descriptors before, %d after", before, after)
	}
	if now := homeNS(t); now != home {
		t.Errorf("the process was in %s and is in %s", home, now)
	}
}

// homeNS names the network namespace of the process's main thread.
func homeNS(t *testing.T) string {
	t.Helper()
	s, err := os.Readlink("/proc/self/ns/net")
	must(t, err)
	return s
}

// TestThreadsStayHome enters namespaces from many goroutines at once and then
// looks at every thread.
func TestThreadsStayHome(t *testing.T) {
	home := homeNS(t)
	ns := newNS(t, "pod")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := ns.enter(func() error { return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	must(t, err)
	for _, task := range tasks {
		// A thread may have ended since the list was made.
		if s, err := os.Readlink(task); err == nil && s != home {
			t.Errorf("%s is %s, not %s", task, s, home)
		}
	}
}

// TestConnectTap joins a TAP that a user-space network holds at its other end.
func TestConnectTap(t *testing.T) {
	ns := newNS(t, "pod")
	slirp, err := newTap(ns, "tap0", Options{})
	must(t, err)
	defer slirp.Close()
	l, err := ns.LinkByName("tap0")
	must(t, err)
	addAddr(t, ns, l, podIP4+"/24")
	must(t, ns.LinkSetUp(l))
	s, err := Scan(ns.path)
	must(t, err)
	if len(s.Endpoints) != 1 {
		t.Fatalf("got %+v", s)
	}
	tap, err := Connect(ns.path, s.Endpoints[0], Options{})
	must(t, err)
	defer tap.Close()
	startGuestAs(t, tap.Files[0], s.Endpoints[0].MAC)
	far := &guest{
		file: slirp.Files[0], mac: s.Endpoints[0].MAC, ip4: addr(farIP4),
		replies: nil, done: make(chan struct{}),
	}
	far.ask(t, addr(podIP4)) // goes in at tap0, the guest's answer comes out of it
	b := make([]byte, 2048)
	must(t, slirp.Files[0].SetReadDeadline(time.Now().Add(patience)))
	for {
		n, err := slirp.Files[0].Read(b)
		must(t, err)
		ip := b[vnetHeader+etherHeader : n]
		if len(ip) > 20 && ip[0] == 0x45 && ip[9] == unix.IPPROTO_ICMP {
			if ip[20] != 0 {
				t.Errorf("an ICMP message of type %d came back", ip[20])
			}
			break
		}
	}
	must(t, Disconnect(ns.path, tap.Name, "tap0"))
	if _, err := ns.LinkByName("tap0"); err != nil {
		t.Errorf("the endpoint is gone with the connection: %v", err)
	}
}

// TestDisconnectHalfMade undoes what a crash between two steps leaves.
func TestDisconnectHalfMade(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps func(*testing.T, *pod)
	}{
		{"a TAP", func(t *testing.T, p *pod) {
			tap, err := newTap(p.ns, "tap2_kata", Options{Persistent: true})
			must(t, err)
			must(t, tap.Close())
		}},
		{"a qdisc", func(t *testing.T, p *pod) { must(t, p.ns.QdiscAdd(ingressOf(p.eth0))) }},
		{"a redirection to a TAP that is gone", func(t *testing.T, p *pod) {
			tap, err := newTap(p.ns, "tap2_kata", Options{})
			must(t, err)
			must(t, redirect(p.ns, p.eth0, p.link(t, p.ns, "tap2_kata")))
			must(t, tap.Close())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPod(t)
			c.steps(t, p)
			must(t, Disconnect(p.ns.path, "tap2_kata", "eth0"))
			expectClean(t, p)
			ping(t, p.far, podIP4, 64)
		})
	}
}

// TestClsactStays leaves the qdisc of another program alone.
func TestClsactStays(t *testing.T) {
	p := newPod(t)
	err := p.ns.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: p.eth0.Attrs().Index, Handle: ingress, Parent: netlink.HANDLE_CLSACT,
	}})
	must(t, err)
	if _, err := Connect(p.ns.path, p.endpoint(t), Options{}); !errdefs.IsAlreadyExists(err) {
		t.Errorf("got %v", err)
	}
	must(t, Disconnect(p.ns.path, "tap2_kata", "eth0"))
	list, err := p.ns.QdiscList(p.eth0)
	must(t, err)
	for _, q := range list {
		if q.Type() == "clsact" {
			return
		}
	}
	t.Errorf("the clsact qdisc is gone: %v", list)
}

// A host that lets this process open no further file says so, and not that the namespace is at fault.
func TestOpenWithoutFilesIsNoErrorOfTheNetwork(t *testing.T) {
	next, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(next); err != nil {
		t.Fatal(err)
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	// There is room for the namespace, and none for what is needed in it.
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(next) + 1, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	ns, failed := open("/proc/self/ns/net")
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if failed == nil {
		ns.close()
	}
	if !errors.Is(failed, unix.EMFILE) {
		t.Errorf("the error is %v, want EMFILE", failed)
	}
}

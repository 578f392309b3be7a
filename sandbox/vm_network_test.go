// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/network"
)

// A veth that appears after the pod was started is in the guest before the
// first process runs.
func TestVMLateNetwork(t *testing.T) {
	bundle := busyboxBundle(t)
	pod := realPod(t)
	startReal(t, pod)
	c, err := pod.CreateContainer(background, realContainer(bundle, "c1", "sh", "-c", "ip -o addr show dev eth0; ip route; ip -o link show dev eth0"))
	if err != nil {
		t.Fatal(err)
	}
	far := outside(t)
	addVeth(t, pod.network.path(), far)
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(c.Init().Stdout())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"10.88.7.2/24", "fd00:88::2/64", "default via 10.88.7.1", "02:11:22:33:44:55", "mtu 1400"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the guest lacks %q:\n%s", want, out)
		}
	}
	wait(t, c.Init())
	listenAt(t, far)
	reachOutside(t, pod, bundle)
}

// An interface that is there when the pod starts carries both families.
func TestVMNetwork(t *testing.T) {
	bundle := busyboxBundle(t)
	inside, far := outside(t), outside(t)
	addVeth(t, inside, far)
	pod := realPod(t, func(o *Options) { o.NetNS = inside })
	startReal(t, pod)
	listenAt(t, far)
	reachOutside(t, pod, bundle)
}

// outside is a namespace of its own.
func outside(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ns")
	needRoot(t)
	if err := network.NewNamespace(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.DeleteNamespace(path); err != nil {
			t.Error(err)
		}
	})
	return path
}

// addVeth does what an engine does: a veth from the pod's namespace to another,
// with addresses and a default route.
func addVeth(t *testing.T, pod, far string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	open := func(path string) (*netlink.Handle, netns.NsHandle) {
		ns, err := netns.GetFromPath(path)
		must(err)
		h, err := netlink.NewHandleAt(ns)
		must(err)
		t.Cleanup(func() { h.Close(); _ = ns.Close() })
		return h, ns
	}
	h, _ := open(pod)
	hFar, nsFar := open(far)
	mac, err := net.ParseMAC("02:11:22:33:44:55")
	must(err)
	must(h.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "eth0", MTU: 1400, HardwareAddr: mac}, PeerName: "far", PeerNamespace: netlink.NsFd(nsFar),
	}))
	for _, end := range []struct {
		h         *netlink.Handle
		name      string
		addresses []string
	}{{h, "eth0", []string{"10.88.7.2/24", "fd00:88::2/64"}}, {hFar, "far", []string{"10.88.7.1/24", "fd00:88::1/64"}}} {
		l, err := end.h.LinkByName(end.name)
		must(err)
		for _, a := range end.addresses {
			address, err := netlink.ParseAddr(a)
			must(err)
			address.Flags = unix.IFA_F_NODAD
			if address.IP.To4() != nil {
				address.Flags = 0
			}
			must(end.h.AddrAdd(l, address))
		}
		must(end.h.LinkSetUp(l))
	}
	l, err := h.LinkByName("eth0")
	must(err)
	must(h.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.ParseIP("10.88.7.1")}))
}

// listenAt greets whoever connects to port 7777 in a namespace.
func listenAt(t *testing.T, path string) {
	t.Helper()
	made := make(chan net.Listener)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with this
		defer close(made)
		ns, err := netns.GetFromPath(path)
		if err != nil {
			return
		}
		defer ns.Close()
		if netns.Set(ns) != nil {
			return
		}
		if l, err := net.Listen("tcp", ":7777"); err == nil {
			made <- l
		}
	}()
	l := leaktest.Receive(t, made)
	if l == nil {
		t.Fatal("cannot listen in the namespace outside")
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "hello "+strings.Repeat("0123456789", 100_000))
			_ = c.Close()
		}
	}()
}

// reachOutside has containers read a megabyte from outside, over both families.
func reachOutside(t *testing.T, pod *Sandbox, bundle string) {
	t.Helper()
	for id, address := range map[string]string{"v4": "10.88.7.1", "v6": "fd00:88::1"} {
		out, code := runReal(t, pod, realContainer(bundle, id, "busybox", "nc", "-w", "20", address, "7777"))
		if code != 0 || !strings.HasPrefix(out, "hello ") || len(out) != 1_000_006 {
			t.Errorf("over %s a container got %d bytes %.80q and exited with %d", id, len(out), out, code)
		}
	}
}

// A TAP that is deleted from outside comes again under a device that can be plugged again, and the guest's network with
// it; QEMU does not spin over the old one.
func TestVMTapThatIsDeleted(t *testing.T) {
	bundle := busyboxBundle(t)
	pod := realPod(t)
	startReal(t, pod)
	far := outside(t)
	addVeth(t, pod.network.path(), far)
	listenAt(t, far)
	reachOutside(t, pod, bundle)
	ns, err := netns.GetFromPath(pod.network.path())
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	old, err := h.LinkByName(pod.network.list()[0].tap)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.LinkDel(old); err != nil {
		t.Fatal(err)
	}
	becomes(t, "another TAP", func() bool {
		now, err := h.LinkByName(old.Attrs().Name)
		return err == nil && now.Attrs().Index != old.Attrs().Index
	})
	for id, address := range map[string]string{"again4": "10.88.7.1", "again6": "fd00:88::1"} {
		out, code := runReal(t, pod, realContainer(bundle, id, "busybox", "nc", "-w", "20", address, "7777"))
		if code != 0 || !strings.HasPrefix(out, "hello ") {
			t.Errorf("to %s a container got %d bytes and exited with %d", address, len(out), code)
		}
	}
}

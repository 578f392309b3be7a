// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"

	"github.com/katapod/katapod/integration/leaktest"
)

// changes counts what a watcher tells; the channel closes with its end.
func changes(t *testing.T, w *Watcher) <-chan struct{} {
	t.Helper()
	told := make(chan struct{}, 64)
	go func() {
		defer close(told)
		for {
			if err := w.Wait(); err != nil {
				if !errors.Is(err, os.ErrClosed) {
					t.Error(err)
				}
				return
			}
			told <- struct{}{}
		}
	}()
	return told
}

func TestWatch(t *testing.T) {
	ns := newNS(t, "watched")
	w, err := Watch(ns.path)
	must(t, err)
	told := changes(t, w)
	address, err := netlink.ParseAddr("10.1.0.1/24")
	must(t, err)
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a"}, PeerName: "b"}
	_, elsewhere, err := net.ParseCIDR("10.2.0.0/24")
	must(t, err)
	route := &netlink.Route{Dst: elsewhere}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"a new link", func() error { return ns.LinkAdd(veth) }},
		{"a new address", func() error { return ns.AddrAdd(veth, address) }},
		{"a link that comes up", func() error { return ns.LinkSetUp(veth) }},
		{"a new route", func() error {
			route.LinkIndex = veth.Attrs().Index
			return ns.RouteAdd(route)
		}},
		{"a route that goes", func() error { return ns.RouteDel(route) }},
		{"a link that goes", func() error { return ns.LinkDel(veth) }},
	} {
		for len(told) > 0 {
			leaktest.Receive(t, told)
		}
		must(t, step.do())
		select {
		case <-told:
		case <-time.After(patience):
			t.Errorf("%s is not told", step.what)
		}
	}
	must(t, w.Close())
	for range told {
	}
}

// A watcher that nobody listened to for a while tells once that things changed.
func TestWatchMany(t *testing.T) {
	ns := newNS(t, "watched")
	w, err := Watch(ns.path)
	must(t, err)
	defer func() { _ = w.Close() }()
	lo, err := ns.LinkByName("lo")
	must(t, err)
	for range 2000 { // more than the socket holds
		must(t, ns.LinkSetDown(lo))
		must(t, ns.LinkSetUp(lo))
	}
	must(t, w.Wait())
}

func TestWatchNothing(t *testing.T) {
	needRoot(t)
	if _, err := Watch(filepath.Join(t.TempDir(), "absent")); !errdefs.IsNotFound(err) {
		t.Errorf("a namespace that is not there gave %v", err)
	}
}

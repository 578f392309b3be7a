// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A shim that was killed before its engine was connected to it is forgotten by the engine: the next pod that ends
// takes its socket away, and leaves those of shims that live.
func TestSocketsOfForgottenShimsAreSwept(t *testing.T) {
	sockets, err := os.MkdirTemp("/tmp", "kp") // t.TempDir is too long for a socket below it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(sockets)
	c := claims{t.TempDir()}
	make := func(name string, lives bool) {
		t.Helper()
		address := scheme + filepath.Join(sockets, name)
		err := c.around(address, func() error {
			listener, err := bind(address)
			if err != nil {
				return err
			}
			t.Cleanup(func() { _ = listener.Close() }) // it may be closed
			if !lives {
				listener.SetUnlinkOnClose(false)
				return listener.Close()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	make("lives", true)
	make("dead", false)
	make("again", false)
	make("again", true)
	if err := os.WriteFile(filepath.Join(sockets, "other"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.sweep(); err != nil {
			t.Fatal(err)
		}
		if got := names(t, sockets); got != "again lives other " {
			t.Errorf("there are the sockets %s", got)
		}
		if got := names(t, c.dir); got != "again lives " {
			t.Errorf("there are the claims %s", got)
		}
	}
	if err := c.removeSocket(scheme + filepath.Join(sockets, "lives")); err != nil {
		t.Fatal(err)
	}
	if got := names(t, c.dir) + names(t, sockets); got != "again again other " {
		t.Errorf("after a shim left by itself there are %s", got)
	}
	if err := (claims{filepath.Join(sockets, "missing")}).sweep(); err != nil {
		t.Errorf("where there never was a shim: %v", err)
	}
}

// The engine may take the bundle away before the shim is quite dead: the delete action waits for that, by the claim.
func TestSocketOfAShimThatIsDying(t *testing.T) {
	sockets, err := os.MkdirTemp("/tmp", "kp") // t.TempDir is too long for a socket below it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(sockets)
	c := claims{t.TempDir()}
	name := socketName("/c.sock", "ns", "pod")
	address, err := socketAddress(Params{GRPCAddress: "/c.sock", SocketDir: sockets}, "ns", "pod")
	if err != nil {
		t.Fatal(err)
	}
	var shim *net.UnixListener
	err = c.around(address, func() (err error) {
		shim, err = bind(address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer shim.Close()
	shim.SetUnlinkOnClose(false)
	alive, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.removeDead(alive, name); err != nil || names(t, sockets) == "" {
		t.Errorf("the socket of a shim that lives: %v, left are %q", err, names(t, sockets))
	}
	removed := make(chan error, 1)
	go func() { removed <- c.removeDead(t.Context(), name) }()
	if err := shim.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-removed; err != nil || names(t, sockets)+names(t, c.dir) != "" {
		t.Errorf("the socket of a shim that died: %v, left are %q and %q", err, names(t, sockets), names(t, c.dir))
	}
	if err := c.removeDead(t.Context(), name); err != nil {
		t.Errorf("a socket that is gone: %v", err)
	}
}

func names(t *testing.T, dir string) (all string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all += e.Name() + " "
	}
	return all
}

// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"os"
	"path/filepath"
	"testing"
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

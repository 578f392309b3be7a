// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A shim that is too busy to accept a connection is not taken for one that is gone: its socket would be removed.
func TestAnswers(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return scheme + filepath.Join(dir, name) }
	if answers(at("missing")) || answers(at("missing/below")) {
		t.Error("a socket that does not exist answers")
	}
	listener, err := listen(at("alive"))
	if err != nil {
		t.Fatal(err)
	}
	if !answers(at("alive")) {
		t.Error("a shim that listens does not answer")
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if answers(at("alive")) {
		t.Error("a socket that a dead shim left answers")
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if answers(at("file")) {
		t.Error("a file answers")
	}
	busy(t, filepath.Join(dir, "busy"))
	if !answers(at("busy")) {
		t.Error("a shim that does not come to accept connections is taken for gone")
	}
}

// busy listens at the path and lets connections wait, as many as may.
func busy(t *testing.T, path string) {
	t.Helper()
	open := func() int {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) }) // of a test
		return fd
	}
	fd, name := open(), &unix.SockaddrUnix{Name: path}
	if err := unix.Bind(fd, name); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); err != unix.EAGAIN; err = unix.Connect(open(), name) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

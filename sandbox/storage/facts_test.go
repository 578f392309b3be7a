// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

func TestHostFacts(t *testing.T) {
	dir := t.TempDir()
	file, link, sock, fifo := filepath.Join(dir, "f"), filepath.Join(dir, "l"), filepath.Join(dir, "s"), filepath.Join(dir, "p")
	if err := os.WriteFile(file, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]Fact{
		file: {Kind: File, Size: 5}, link: {Kind: File, Size: 5}, sock: {Kind: Socket}, fifo: {Kind: Other},
		"/dev/null": {Kind: CharDevice, Major: 1, Minor: 3},
	} {
		if got, err := (Host{}).Stat(path); err != nil || got != want {
			t.Errorf("%s: got %+v, error %v, want %+v", path, got, err, want)
		}
	}
	if got, err := (Host{}).Stat(dir); err != nil || got.Kind != Directory {
		t.Errorf("%s: got %+v, error %v", dir, got, err)
	}
	if _, err := (Host{}).Stat(filepath.Join(dir, "absent")); !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "absent") {
		t.Errorf("error %v", err)
	}
}

func TestHostTmpfs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	for path, want := range map[string]bool{filepath.Dir(dir): true, dir: false} {
		if below, err := (Host{}).MountsBelow(path); err != nil || below != want {
			t.Errorf("mounts below %s: %t, error %v", path, below, err)
		}
	}
	if got, err := (Host{}).Stat(dir); err != nil || !got.Tmpfs || got.TmpfsSize != 1<<20 {
		t.Errorf("got %+v, error %v", got, err)
	}
}

func TestHostBlockDevice(t *testing.T) {
	entries, err := os.ReadDir("/sys/dev/block")
	if err != nil || len(entries) == 0 {
		t.Skipf("this host shows no block device: %v", err)
	}
	var major, minor int64
	text := strings.Split(entries[0].Name(), ":")
	major, minor = number(t, text[0]), number(t, text[1])
	got, err := (Host{}).BlockDevice(major, minor)
	if err != nil || !strings.HasPrefix(got, "/dev/") || len(got) <= len("/dev/") {
		t.Errorf("%d:%d is %q, error %v", major, minor, got, err)
	}
	if _, err := (Host{}).BlockDevice(4095, 1048575); !errdefs.IsNotFound(err) {
		t.Errorf("error %v", err)
	}
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	var n int64
	for _, c := range s {
		n = n*10 + int64(c-'0')
	}
	return n
}

func TestKindsHaveNames(t *testing.T) {
	names := map[string]bool{}
	for _, k := range []Kind{File, Directory, BlockDevice, CharDevice, Socket, Other} {
		names[k.String()] = true
	}
	if len(names) != 6 {
		t.Errorf("names are %v", names)
	}
}

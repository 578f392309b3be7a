// SPDX-License-Identifier: Apache-2.0

package guestfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

func TestPut(t *testing.T) {
	root := t.TempDir()
	c := NewCopier(NewTree(root))
	file := func(path, data string, offset, size int64) File {
		return File{Path: filepath.Join(root, path), Size: size, Mode: unix.S_IFREG | 0o4640, DirMode: 0o711, Offset: offset, Data: []byte(data), UID: os.Getuid(), GID: os.Getgid()}
	}
	for _, f := range []File{
		file("a/b/x.json", "one ", 0, 7), file("a/b/x.yaml", "yaml", 0, 4), file("a/b/x.json", "two", 4, 7), file("empty", "", 0, 0),
	} {
		if err := c.Put(f); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"a/b/x.json": "one two", "a/b/x.yaml": "yaml", "empty": ""} {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	info, err := os.Stat(filepath.Join(root, "a/b/x.json"))
	if err != nil || info.Mode() != os.ModeSetuid|0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if info, err = os.Stat(filepath.Join(root, "a")); err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("mode of a missing parent %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(root, "a/b/.*")); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}

func TestFileAppearsWhole(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "f")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := NewCopier(NewTree(root))
	f := File{Path: path, Size: 4, Mode: unix.S_IFREG | 0o600, Data: []byte("ne"), UID: os.Getuid(), GID: os.Getgid()}
	if err := c.Put(f); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(path); string(data) != "old" {
		t.Errorf("half a file: %q", data)
	}
	f.Offset, f.Data = 2, []byte("w!")
	if err := c.Put(f); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(path); string(data) != "new!" {
		t.Errorf("whole file: %q", data)
	}
}

func TestLinksAndDirectories(t *testing.T) {
	root := t.TempDir()
	c := NewCopier(NewTree(root))
	put := func(name string, mode uint32, data string) error {
		return c.Put(File{Path: filepath.Join(root, name), Mode: mode, Data: []byte(data), Size: int64(len(data)), UID: os.Getuid(), GID: os.Getgid()})
	}
	for range 2 { // the second time over the first
		if err := errors.Join(put("d", unix.S_IFDIR|0o750, ""), put("l", unix.S_IFLNK|0o777, "d")); err != nil {
			t.Fatal(err)
		}
	}
	if target, err := os.Readlink(filepath.Join(root, "l")); err != nil || target != "d" {
		t.Errorf("link to %q, %v", target, err)
	}
	if err := put("l", unix.S_IFDIR|0o750, ""); !errors.Is(err, errdefs.ErrAlreadyExists) {
		t.Errorf("a directory in place of a link: %v", err)
	}
	if err := put("s", unix.S_IFSOCK|0o750, ""); !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Errorf("a socket: %v", err)
	}
}

// TestNothingLeadsOut is what a container with a share could prepare.
func TestNothingLeadsOut(t *testing.T) {
	outside, root := t.TempDir(), t.TempDir()
	for name, target := range map[string]string{"abs": outside, "rel": "../" + filepath.Base(outside)} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(outside, "x"), filepath.Join(root, ".katapod-part-f")); err != nil {
		t.Fatal(err)
	}
	c := NewCopier(NewTree(root))
	put := func(path string) error {
		return c.Put(File{Path: path, Size: 1, Mode: unix.S_IFREG | 0o600, Data: []byte("x"), UID: os.Getuid(), GID: os.Getgid()})
	}
	for _, path := range []string{root, root + "/../x", "/etc/x", "x", root + "x/y", "", root + "/a/../../x"} {
		if err := put(path); !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%q: %v", path, err)
		}
	}
	for _, name := range []string{"abs/x", "rel/x", "f"} {
		if err := put(filepath.Join(root, name)); err != nil {
			t.Logf("%s: %v", name, err)
		}
	}
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("written outside: %v", left)
	}
}

func TestOffsetsMustFit(t *testing.T) {
	root := t.TempDir()
	c := NewCopier(NewTree(root))
	for _, f := range []File{{Offset: -1}, {Size: -1}, {Offset: 5, Size: 4}} {
		f.Path, f.Mode = filepath.Join(root, "f"), unix.S_IFREG|0o600
		if err := c.Put(f); !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package guestfs

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// FuzzPut has the host send any file, after a link that leads out: outside of the tree
// nothing appears or changes.
func FuzzPut(f *testing.F) {
	f.Add("a/b", []byte("x"), uint32(unix.S_IFREG|0o644), int64(1), int64(0))
	f.Add("../outside", []byte("x"), uint32(unix.S_IFREG|0o4777), int64(1), int64(0))
	f.Add("out/precious", []byte("x"), uint32(unix.S_IFREG), int64(1), int64(0))
	f.Add("out", []byte("/etc"), uint32(unix.S_IFLNK), int64(4), int64(0))
	f.Add("out/new", []byte{}, uint32(unix.S_IFDIR|0o777), int64(0), int64(0))
	f.Add("f", []byte("piece"), uint32(unix.S_IFREG), int64(1<<62), int64(-5))
	f.Add(".katapod-part-x", []byte(""), uint32(unix.S_IFIFO), int64(-1), int64(1))
	if os.Geteuid() != 0 {
		f.Skip("owners of files need root")
	}
	top := f.TempDir()
	f.Fuzz(func(t *testing.T, path string, data []byte, mode uint32, size, offset int64) {
		root := filepath.Join(top, "tree")
		precious := filepath.Join(top, "outside", "precious")
		for _, err := range []error{
			os.RemoveAll(root), os.MkdirAll(root, 0o700), os.MkdirAll(filepath.Dir(precious), 0o700),
			os.WriteFile(precious, []byte("precious"), 0o600), os.Symlink(filepath.Dir(precious), filepath.Join(root, "out")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		c := NewCopier(NewTree(root))
		for _, p := range []string{path, root + "/" + path} {
			// Refused or not: what counts is where it went.
			_ = c.Put(File{Path: p, Size: size, Mode: mode, DirMode: 0o755, Offset: offset, Data: data})
		}
		if text, err := os.ReadFile(precious); err != nil || string(text) != "precious" {
			t.Fatalf("the file outside is %q, %v", text, err)
		}
		for _, dir := range []string{top, filepath.Dir(precious)} {
			if entries, err := os.ReadDir(dir); err != nil || len(entries) > 2 || dir != top && len(entries) > 1 {
				t.Fatalf("in %s are %v, %v", dir, entries, err)
			}
		}
	})
}

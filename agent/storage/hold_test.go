// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What is mounted at a held directory is unmounted with its release, and nothing else is. That the kernel mounts there
// when it is entered, and that no request is under way at the end, is for the differential test: containers that end
// while they read.
func TestHold(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	point, plain, file := filepath.Join(dir, "point"), filepath.Join(dir, "plain"), filepath.Join(dir, "file")
	for _, d := range []string{point, plain} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("held", point, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(point, unix.MNT_DETACH) }) // nothing is there when all went well
	release, err := Hold([]string{point, plain, file})
	if err != nil {
		t.Fatal(err)
	}
	if mounted, err := enter(point); err != nil || !mounted {
		t.Fatalf("before the release, mounted is %v, error %v", mounted, err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{point, plain, file} {
		if mounted, err := enter(path); err != nil || mounted {
			t.Errorf("after the release of %s, mounted is %v, error %v", path, mounted, err)
		}
	}
	if _, err := Hold([]string{plain, filepath.Join(dir, "missing")}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a directory that is missing: %v", err)
	}
}

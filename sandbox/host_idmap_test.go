// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/sandbox/storage"
)

// TestBindMapped looks at owners through binds of which one maps the mounts
// below as well.
func TestBindMapped(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounts need root")
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, d := range []string{"source", "share", "share/top", "share/all"} {
		if err := os.Mkdir(at(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var m hostMounts
	t.Cleanup(func() {
		if err := errors.Join(m.Unmount(at("share/top")), m.Unmount(at("share/all")), m.Unmount(at("source/below")), m.Unmount(at("source"))); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mount("tmpfs", at("source"), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(at("source/below"), 0o755), unix.Mount("tmpfs", at("source/below"), "tmpfs", 0, "")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "below/file"} {
		if err := errors.Join(os.WriteFile(at("source/"+name), nil, 0o600), os.Chown(at("source/"+name), 7, 8)); err != nil {
			t.Fatal(err)
		}
	}
	ids := func(first uint32) []specs.LinuxIDMapping { return []specs.LinuxIDMapping{{HostID: first, Size: 1000}} }
	share := storage.Share{Source: at("source"), Directory: true, Recursive: true, IDMap: storage.IDMap{UIDs: ids(5000), GIDs: ids(6000)}}
	if err := m.Bind(share, at("share/top")); err != nil {
		t.Fatal(err)
	}
	share.IDMap.Recursive, share.Access = true, storage.ReadOnlyBelow
	if err := m.Bind(share, at("share/all")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]uint32{
		"top/file": {5007, 6008}, "top/below/file": {7, 8}, "all/file": {5007, 6008}, "all/below/file": {5007, 6008},
	} {
		var st unix.Stat_t
		if err := unix.Stat(at("share/"+name), &st); err != nil || st.Uid != want[0] || st.Gid != want[1] {
			t.Errorf("%s belongs to %d:%d, error %v, want %v", name, st.Uid, st.Gid, err, want)
		}
	}
	if err := os.WriteFile(at("share/all/below/new"), nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing on a read-only bind: %v", err)
	}
	// It is bound to a new user namespace: no id twice.
	share.IDMap.UIDs = append(ids(1), ids(1)...)
	if err := m.Bind(share, at("share/all")); err == nil {
		t.Error("a map with one id twice is taken")
	}
}

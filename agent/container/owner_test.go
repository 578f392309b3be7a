// SPDX-License-Identifier: Apache-2.0

package container

import (
	"os"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestStreamsBelongToTheUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("another owner needs root")
	}
	linux := &specs.Linux{
		UIDMappings: []specs.LinuxIDMapping{{HostID: 5000, Size: 10}, {ContainerID: 1000, HostID: 7000, Size: 10}},
		GIDMappings: []specs.LinuxIDMapping{{HostID: 6000, Size: 10}},
	}
	for _, c := range []struct {
		name     string
		linux    *specs.Linux
		user     specs.User
		uid, gid uint32
	}{
		{"no user namespace", &specs.Linux{}, specs.User{UID: 3}, 0, 0},
		{"its root", linux, specs.User{}, 5000, 6000},
		{"another user", linux, specs.User{UID: 1002, GID: 1}, 7002, 6001},
		{"a group without a place", linux, specs.User{UID: 1, GID: 99}, 5001, 0},
	} {
		s, err := newStreams(false, true, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := giveStreams(s.child, c.linux, c.user); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, f := range []*os.File{s.child.Stdin, s.child.Stdout, s.child.Stderr} {
			var st unix.Stat_t
			if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Uid != c.uid || st.Gid != c.gid {
				t.Errorf("%s: a stream belongs to %d:%d, error %v", c.name, st.Uid, st.Gid, err)
			}
		}
		s.discard()
	}
}

func TestDevNullStaysAsItIs(t *testing.T) {
	s, err := newStreams(false, false, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.discard()
	linux := &specs.Linux{UIDMappings: []specs.LinuxIDMapping{{HostID: 5000, Size: 10}}}
	if os.Getuid() != 0 {
		t.Skip("another owner needs root")
	}
	if err := giveStreams(s.child, linux, specs.User{}); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(os.DevNull, &st); err != nil || st.Uid != 0 {
		t.Errorf("%s belongs to %d, error %v", os.DevNull, st.Uid, err)
	}
}

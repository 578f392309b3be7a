// SPDX-License-Identifier: Apache-2.0

package hostcgroup

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestPathFor(t *testing.T) {
	for _, c := range []struct{ cgroupsPath, want string }{
		{"/kubepods/burstable/pod1/abc", "/kubepods/burstable/pod1/kata_id"},
		{"/default/abc", "/default/kata_id"},
		{"/abc", "/kata_id"},
		{"abc", "/kata_id"},
		{"", "/kata_id"},
		{"/", "/kata_id"},
		{"/../../etc/abc", "/etc/kata_id"},
		{"kubepods-pod1.slice:cri-containerd:abc", "kubepods-pod1.slice:cri-containerd:kata_id"},
		{":cri-containerd:abc", ":cri-containerd:kata_id"},
	} {
		got, err := PathFor(c.cgroupsPath, "id")
		if err != nil || got != c.want {
			t.Errorf("%q: got %q, error %v, want %q", c.cgroupsPath, got, err, c.want)
			continue
		}
		if _, err := locate(got); err != nil {
			t.Errorf("%q: the result is not understood: %v", c.cgroupsPath, err)
		}
	}
	for _, c := range [][2]string{{"/a", ""}, {"/a", "x/y"}, {"/a", "x:y"}, {"/a", strings.Repeat("x", 300)}, {"kubepods:cri:abc", "id"}, {"a--b.slice:cri:abc", "id"}} {
		if got, err := PathFor(c[0], c[1]); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: got %q, error %v", c, got, err)
		}
	}
}

func TestLocate(t *testing.T) {
	for path, want := range map[string]location{
		"/a/b": {dir: "/a/b"},
		"kubepods-besteffort-pod1_2.slice:cri:kata_x": {
			dir:  "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice/kubepods-besteffort-pod1_2-kata_x.slice",
			unit: "kubepods-besteffort-pod1_2-kata_x.slice",
		},
		"system.slice:cri:kata_a-b": {dir: "/system.slice/system-kata_a_b.slice", unit: "system-kata_a_b.slice"},
		":cri:kata_a":               {dir: "/kata_a.slice", unit: "kata_a.slice"},
		"-.slice::kata_a":           {dir: "/kata_a.slice", unit: "kata_a.slice"},
	} {
		if got, err := locate(path); err != nil || got != want {
			t.Errorf("%q: got %+v, error %v, want %+v", path, got, err, want)
		}
	}
	for _, path := range []string{"", "/", "a", "/a/", "/a/../b", "x:y", "a.scope:b:c", "a-.slice:b:c", "/s.slice:b:c", "s.slice:b:", "s.slice:b:a/b", ".slice:a:b"} {
		if got, err := locate(path); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: got %+v, error %v", path, got, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"errors"
	"testing"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func minimal() *specs.Spec {
	return &specs.Spec{
		Version: "1.3.0", Hostname: "own", Root: &specs.Root{Path: "/r"}, Process: &specs.Process{Args: []string{"x"}},
		Linux: &specs.Linux{
			CgroupsPath: "../../escape", Sysctl: map[string]string{"net.ipv4.ip_forward": "1"},
			Namespaces: []specs.LinuxNamespace{{Type: "network", Path: "/proc/1/ns/net"}, {Type: "pid"}, {Type: "user"}, {Type: "ipc"}},
		},
	}
}

func TestGuestHasTheNamespaces(t *testing.T) {
	for _, test := range []struct {
		name  string
		guest Guest
		want  map[specs.LinuxNamespaceType]string
		host  string
	}{
		{"shared", Guest{IPC: "/i", UTS: "/u", PID: "/p", Hostname: "pod"}, map[specs.LinuxNamespaceType]string{
			"pid": "/p", "ipc": "/i", "uts": "/u", "mount": "", "cgroup": "", "user": "",
		}, ""},
		{"own", Guest{}, map[specs.LinuxNamespaceType]string{
			"pid": "", "ipc": "", "uts": "", "mount": "", "cgroup": "", "user": "",
		}, "own"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := minimal()
			test.guest.CgroupsPath = "/katapod/c"
			sysctls, err := test.guest.Apply(s)
			if err != nil {
				t.Fatal(err)
			}
			got := map[specs.LinuxNamespaceType]string{}
			for _, ns := range s.Linux.Namespaces {
				if _, twice := got[ns.Type]; twice {
					t.Errorf("%s twice", ns.Type)
				}
				got[ns.Type] = ns.Path
			}
			if len(got) != len(test.want) {
				t.Errorf("namespaces %v", got)
			}
			for typ, path := range test.want {
				if p, ok := got[typ]; !ok || p != path {
					t.Errorf("%s is %q, want %q", typ, p, path)
				}
			}
			if s.Hostname != test.host || s.Linux.CgroupsPath != "/katapod/c" || s.Version != "1.0.2" || s.Linux.Personality.Domain != specs.PerLinux {
				t.Errorf("hostname %q, cgroup %q, version %q, personality %v", s.Hostname, s.Linux.CgroupsPath, s.Version, s.Linux.Personality)
			}
			if len(sysctls) != 1 || len(s.Linux.Sysctl) != 0 {
				t.Errorf("kernel parameters %v and %v", sysctls, s.Linux.Sysctl)
			}
		})
	}
}

func TestGuestRefusesWhatItCannotEnforce(t *testing.T) {
	for name, change := range map[string]func(*specs.Spec){
		"AppArmor":      func(s *specs.Spec) { s.Process.ApparmorProfile = "p" },
		"SELinux":       func(s *specs.Spec) { s.Process.SelinuxLabel = "l" },
		"SELinux mount": func(s *specs.Spec) { s.Linux.MountLabel = "l" },
	} {
		s := minimal()
		change(s)
		if _, err := (Guest{}).Apply(s); !errors.Is(err, errdefs.ErrNotImplemented) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := (Guest{AppArmor: true, SELinux: true}).Apply(s); err != nil {
			t.Errorf("%s with a kernel that has it: %v", name, err)
		}
	}
	s := minimal()
	s.Process.ApparmorProfile = "unconfined"
	if _, err := (Guest{}).Apply(s); err != nil || s.Process.ApparmorProfile != "" {
		t.Errorf("unconfined: %v %q", err, s.Process.ApparmorProfile)
	}
	s = minimal()
	s.Root.Path = "rootfs"
	if _, err := (Guest{}).Apply(s); !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Errorf("relative root: %v", err)
	}
}

func TestGuestHooksComeLast(t *testing.T) {
	s := minimal()
	s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/spec"}}}
	g := Guest{Hooks: specs.Hooks{Poststop: []specs.Hook{{Path: "/guest"}}}}
	if _, err := g.Apply(s); err != nil {
		t.Fatal(err)
	}
	if h := s.Hooks.Poststop; len(h) != 2 || h[0].Path != "/spec" || h[1].Path != "/guest" {
		t.Errorf("hooks %v", h)
	}
}

// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/agentpb"
)

func TestProcessKeepsAllThatLimitsIt(t *testing.T) {
	adj := -5
	in := &specs.Process{
		Terminal: true, ConsoleSize: &specs.Box{Height: 24, Width: 80},
		User: specs.User{UID: 1, GID: 2, AdditionalGids: []uint32{3}, Username: "u"},
		Args: []string{"a"}, Env: []string{"B=c"}, Cwd: "/d",
		Capabilities: &specs.LinuxCapabilities{
			Bounding: []string{"1"}, Effective: []string{"2"}, Inheritable: []string{"3"}, Permitted: []string{"4"}, Ambient: []string{"5"},
		},
		Rlimits:         []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Hard: 2, Soft: 1}},
		NoNewPrivileges: true, OOMScoreAdj: &adj,
	}
	want := &agentpb.Process{
		Terminal: true, ConsoleSize: &agentpb.Box{Height: 24, Width: 80},
		User: &agentpb.User{UID: 1, GID: 2, AdditionalGids: []uint32{3}, Username: "u"},
		Args: []string{"a"}, Env: []string{"B=c"}, Cwd: "/d",
		Capabilities: &agentpb.LinuxCapabilities{
			Bounding: []string{"1"}, Effective: []string{"2"}, Inheritable: []string{"3"}, Permitted: []string{"4"}, Ambient: []string{"5"},
		},
		Rlimits:         []*agentpb.POSIXRlimit{{Type: "RLIMIT_CORE", Hard: 2, Soft: 1}},
		NoNewPrivileges: true, OOMScoreAdj: -5,
	}
	guest, err := ProcessToGuest(in, 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ProcessToWire(guest)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if none, err := ProcessToGuest(nil, 1); none != nil || !errdefs.IsInvalidArgument(err) {
		t.Errorf("no process gives %v, error %v", none, err)
	}
}

func TestSecurityLabels(t *testing.T) {
	for _, c := range []struct {
		name, apparmor, selinux, mount string
		dropSELinux                    bool
		refused                        string
		notes                          int
	}{
		{name: "none"},
		{name: "unconfined", apparmor: "unconfined"},
		{name: "the engine's profile", apparmor: "cri-containerd.apparmor.d", notes: 1},
		{name: "a chosen profile", apparmor: "k8s-nginx", refused: "process.apparmorProfile"},
		{name: "a label", selinux: "system_u:system_r:container_t:s0", refused: "process.selinuxLabel"},
		{name: "a mount label", mount: "system_u:object_r:container_file_t:s0", refused: "linux.mountLabel"},
		{name: "labels dropped", selinux: "l", mount: "m", dropSELinux: true, notes: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, e := valid(), env()
			in.Process.ApparmorProfile, in.Process.SelinuxLabel, in.Linux.MountLabel = c.apparmor, c.selinux, c.mount
			e.DisableSELinux = c.dropSELinux
			if c.refused != "" {
				refuses(t, in, e, c.refused)
				return
			}
			out := convert(t, in, e)
			if out.Process.ApparmorProfile+out.Process.SelinuxLabel+out.Linux.MountLabel != "" {
				t.Errorf("a label went to the guest: %v", out)
			}
			if notes := Notes(in, e); len(notes) != c.notes {
				t.Errorf("notes are %q, want %d", notes, c.notes)
			}
		})
	}
}

func TestSeccomp(t *testing.T) {
	errno := func(n uint) *uint { return &n }
	for _, c := range []struct {
		name    string
		profile *specs.LinuxSeccomp
		drop    bool
		want    *agentpb.LinuxSeccomp
		refused string
	}{
		{name: "none"},
		{name: "dropped", profile: &specs.LinuxSeccomp{DefaultAction: "a", ListenerPath: "/s"}, drop: true},
		{
			name: "whole",
			profile: &specs.LinuxSeccomp{
				DefaultAction: specs.ActErrno, DefaultErrnoRet: errno(1), Architectures: []specs.Arch{specs.ArchX86_64},
				Flags: []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog},
				Syscalls: []specs.LinuxSyscall{
					{Names: []string{"read"}, Action: specs.ActAllow},
					{Names: []string{"clone"}, Action: specs.ActErrno, ErrnoRet: errno(0), Args: []specs.LinuxSeccompArg{{Index: 1, Value: 2, ValueTwo: 3, Op: specs.OpMaskedEqual}}},
				},
			},
			want: &agentpb.LinuxSeccomp{
				DefaultAction: "SCMP_ACT_ERRNO", Architectures: []string{"SCMP_ARCH_X86_64"}, Flags: []string{"SECCOMP_FILTER_FLAG_LOG"},
				Syscalls: []*agentpb.LinuxSyscall{
					{Names: []string{"read"}, Action: "SCMP_ACT_ALLOW"},
					{Names: []string{"clone"}, Action: "SCMP_ACT_ERRNO", ErrnoRet: &agentpb.LinuxSyscall_Errnoret{}, Args: []*agentpb.LinuxSeccompArg{{Index: 1, Value: 2, ValueTwo: 3, Op: "SCMP_CMP_MASKED_EQ"}}},
				},
			},
		},
		{name: "listener", profile: &specs.LinuxSeccomp{ListenerPath: "/run/s.sock"}, refused: "listenerPath"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, e := valid(), env()
			in.Linux.Seccomp, e.DisableSeccomp = c.profile, c.drop
			if c.refused != "" {
				refuses(t, in, e, c.refused)
				return
			}
			if got := convert(t, in, e).Linux.Seccomp; !proto.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			dropped := slices.ContainsFunc(Notes(in, e), func(n string) bool { return strings.Contains(n, "seccomp") })
			if dropped != c.drop {
				t.Errorf("a note about seccomp: %v, want %v", dropped, c.drop)
			}
		})
	}
}

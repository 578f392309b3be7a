// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/agentpb"
)

func ptr[T any](v T) *T { return &v }

func TestResources(t *testing.T) {
	for _, c := range []struct {
		name string
		in   *specs.LinuxResources
		want *agentpb.LinuxResources
	}{
		{"nil", nil, &agentpb.LinuxResources{}},
		{"empty", &specs.LinuxResources{}, &agentpb.LinuxResources{}},
		{
			"memory without what needs swap",
			&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(9)), Reservation: ptr(int64(8)), Swap: ptr(int64(7)), Swappiness: ptr(uint64(60))}},
			&agentpb.LinuxResources{Memory: &agentpb.LinuxMemory{Limit: 9, Reservation: 8}},
		},
		{
			"no memory limit",
			&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(-1)), DisableOOMKiller: ptr(false)}},
			&agentpb.LinuxResources{Memory: &agentpb.LinuxMemory{Limit: -1}},
		},
		{
			"cpu",
			&specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: ptr(uint64(512)), Quota: ptr(int64(-1)), Period: ptr(uint64(100000)), Cpus: "0-1", Mems: "0"}},
			&agentpb.LinuxResources{CPU: &agentpb.LinuxCPU{Shares: 512, Quota: -1, Period: 100000, Cpus: "0-1", Mems: "0"}},
		},
		{
			"a cpuset of the host",
			&specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "1-2", Mems: "1", Burst: ptr(uint64(0)), Idle: ptr(int64(0))}},
			&agentpb.LinuxResources{CPU: &agentpb.LinuxCPU{}},
		},
		{
			"pids and weight",
			&specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(100))}, BlockIO: &specs.LinuxBlockIO{Weight: ptr(uint16(300))}},
			&agentpb.LinuxResources{Pids: &agentpb.LinuxPids{Limit: 100}, BlockIO: &agentpb.LinuxBlockIO{Weight: 300}},
		},
		{
			"huge pages",
			&specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4 << 20}, {Pagesize: "1GB"}}},
			&agentpb.LinuxResources{HugepageLimits: []*agentpb.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4 << 20}}},
		},
		{
			"device rules",
			&specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}, {Allow: true, Type: "c", Major: ptr(int64(136)), Access: "rw"}, {Allow: true, Type: "c", Major: ptr(int64(1)), Minor: ptr(int64(3)), Access: "r"}}},
			&agentpb.LinuxResources{Devices: []*agentpb.LinuxDeviceCgroup{
				{Major: -1, Minor: -1, Access: "rwm"}, {Allow: true, Type: "c", Major: 136, Minor: -1, Access: "rw"}, {Allow: true, Type: "c", Major: 1, Minor: 3, Access: "r"},
			}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			guest, err := ResourcesToGuest(c.in, 2)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ResourcesToWire(guest)
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestCpuset(t *testing.T) {
	for _, c := range []struct {
		list  string
		count int
		want  bool
	}{
		{"0", 1, true}, {"0-3", 4, true}, {"0-4", 4, false}, {"0,2", 3, true}, {"3", 3, false}, {" 1 , 0 ", 2, true},
		{"", 4, false}, {"-", 4, false}, {"a", 4, false}, {"2-1", 4, false}, {"0-", 4, false}, {"0,,1", 4, false},
		{"0", 0, false}, {"99999999999999999999", 4, false}, {"0-2147483648", 4, false},
	} {
		if got := fits(c.list, c.count); got != c.want {
			t.Errorf("%q within %d: %v, want %v", c.list, c.count, got, c.want)
		}
	}
}

func TestDroppedCpusetIsNoted(t *testing.T) {
	in := valid()
	in.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "8-9", Mems: "1"}}
	if notes := Notes(in, env()); len(notes) != 2 {
		t.Errorf("notes are %q, want two", notes)
	}
	in.Linux.Resources.CPU.Cpus, in.Linux.Resources.CPU.Mems = "0-1", "0"
	if notes := Notes(in, env()); len(notes) != 0 {
		t.Errorf("notes are %q, want none", notes)
	}
}

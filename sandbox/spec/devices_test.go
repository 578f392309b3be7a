// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"os"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/sandbox/storage"
)

func TestDevices(t *testing.T) {
	allowAll := []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
	fuse := specs.LinuxDevice{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229, FileMode: ptr(os.FileMode(0o666)), UID: ptr(uint32(1)), GID: ptr(uint32(2))}
	kvm := specs.LinuxDevice{Path: "/dev/kvm", Type: "c", Major: 10, Minor: 232}
	volume := specs.LinuxDevice{Path: "/dev/xvda", Type: "b", Major: 253, Minor: 4, GID: ptr(uint32(6))}
	planned := storage.Device{ContainerPath: "/dev/xvda", Major: 253, Minor: 4}
	bound := storage.Device{ContainerPath: "/data", Major: 7, Minor: 3}

	for _, c := range []struct {
		name    string
		devices []specs.LinuxDevice
		rules   []specs.LinuxDeviceCgroup
		planned []storage.Device
		want    []*agentpb.LinuxDevice
		refused string
		notes   int
	}{
		{name: "none"},
		{
			name: "a node that every guest has", devices: []specs.LinuxDevice{fuse},
			want: []*agentpb.LinuxDevice{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229, FileMode: 0o666, UID: 1, GID: 2}},
		},
		{
			name: "under another name", devices: []specs.LinuxDevice{{Path: "/dev/mynull", Type: "c", Major: 1, Minor: 3}},
			want: []*agentpb.LinuxDevice{{Path: "/dev/mynull", Type: "c", Major: 1, Minor: 3}},
		},
		{name: "a block device with such numbers", devices: []specs.LinuxDevice{{Path: "/dev/null", Type: "b", Major: 1, Minor: 3}}, refused: "/dev/null"},
		{name: "a device of the host", devices: []specs.LinuxDevice{kvm}, refused: "/dev/kvm"},
		{name: "a known name with other numbers", devices: []specs.LinuxDevice{{Path: "/dev/null", Type: "b", Major: 8}}, refused: "/dev/null"},
		{name: "a block device without a plan", devices: []specs.LinuxDevice{volume}, refused: "/dev/xvda"},
		{
			name: "a volume", devices: []specs.LinuxDevice{volume}, planned: []storage.Device{planned},
			want: []*agentpb.LinuxDevice{{Path: "/dev/xvda", Type: "b", Major: 253, Minor: 4, GID: 6}},
		},
		{
			name: "a bound block device", planned: []storage.Device{bound},
			want: []*agentpb.LinuxDevice{{Path: "/data", Type: "b", Major: 7, Minor: 3, FileMode: 0o660}},
		},
		{name: "privileged", devices: []specs.LinuxDevice{kvm, volume}, rules: allowAll, notes: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, e := valid(), env()
			in.Linux.Devices, in.Linux.Resources, e.Devices = c.devices, &specs.LinuxResources{Devices: c.rules}, c.planned
			if c.refused != "" {
				refuses(t, in, e, c.refused, "device of the host")
				return
			}
			got := convert(t, in, e).Linux.Devices
			if !proto.Equal(&agentpb.Linux{Devices: got}, &agentpb.Linux{Devices: c.want}) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if notes := Notes(in, e); len(notes) != c.notes {
				t.Errorf("notes are %q, want %d", notes, c.notes)
			}
		})
	}
}

func TestBoundBlockDeviceMayBeUsed(t *testing.T) {
	in, e := valid(), env()
	e.Devices = []storage.Device{{ContainerPath: "/data", Major: 7, Minor: 3}}
	want := &agentpb.LinuxDeviceCgroup{Allow: true, Type: "b", Major: 7, Minor: 3, Access: "rwm"}
	rules := convert(t, in, e).Linux.Resources.Devices
	if len(rules) != 1 || !proto.Equal(rules[0], want) {
		t.Errorf("rules are %v, want %v", rules, want)
	}
}

func TestIsPrivileged(t *testing.T) {
	for name, c := range map[string]struct {
		rules []specs.LinuxDeviceCgroup
		want  bool
	}{
		"no rules":     {nil, false},
		"nothing":      {[]specs.LinuxDeviceCgroup{{Access: "rwm"}}, false},
		"all":          {[]specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}, true},
		"all by type":  {[]specs.LinuxDeviceCgroup{{Allow: true, Type: "a", Major: ptr(int64(-1)), Minor: ptr(int64(-1)), Access: "rwm"}}, true},
		"all to read":  {[]specs.LinuxDeviceCgroup{{Allow: true, Access: "r"}}, false},
		"one device":   {[]specs.LinuxDeviceCgroup{{Allow: true, Type: "c", Major: ptr(int64(1)), Minor: ptr(int64(3)), Access: "rwm"}}, false},
		"one major":    {[]specs.LinuxDeviceCgroup{{Allow: true, Major: ptr(int64(1)), Access: "rwm"}}, false},
		"all of block": {[]specs.LinuxDeviceCgroup{{Allow: true, Type: "b", Access: "rwm"}}, false},
	} {
		in := valid()
		in.Linux.Resources = &specs.LinuxResources{Devices: c.rules}
		if got := IsPrivileged(in); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if IsPrivileged(nil) || IsPrivileged(&specs.Spec{}) || IsPrivileged(valid()) {
		t.Error("a spec without rules is privileged")
	}
}
